// How long a suggestion takes with 10,000 trials behind it: each proposer over the fields of a recipe and over a small
// table, median and worst of 50. The losses are a bowl with noise; one run in ten fails. For docs/notes/search-cost.md.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "search/proposers/proposer.h"
#include "workload/flywheel/recipe_space.h"

namespace flywheel::search {
namespace {

using namespace workload;  // its search space

constexpr size_t kTrials = 10000;
constexpr int kSuggestions = 50;

void measure(const char* name, const SearchSpace& space) {
  Rng rng(1);
  std::vector<Trial> trials;
  std::set<std::string, std::less<>> taken;
  while (trials.size() < kTrials) {
    Trial trial;
    trial.id = trials.size() + 1;
    trial.proposer = "random";
    trial.values = space.sample(rng);
    trial.identity = space.identity(trial.values);
    trial.rung_flops = 1e12;
    double distance = 0;
    for (const double unit : space.units(trial.values))
      if (!std::isnan(unit)) distance += std::pow(unit - 0.4, 2);
    trial.loss = 2 + 0.05 * distance + 0.002 * rng.normal();
    trial.state = rng.below(10) == 0 ? TrialState::kFailed : TrialState::kDone;
    taken.insert(trial.identity);
    trials.push_back(std::move(trial));
  }
  const Trial* best = nullptr;
  for (const Trial& trial : trials)
    if (trial.state == TrialState::kDone && (best == nullptr || trial.loss < best->loss)) best = &trial;
  const double rung = 1e12;
  const SearchView view{space, trials, best, {&rung, 1}, rung, 0.002, &taken};
  for (const char* proposer_name : {"random", "local", "evolve", "bayes"}) {
    const auto proposer = make_proposer(proposer_name, space);
    for (const Trial& trial : trials) proposer->observe(view, trial);
    std::vector<double> milliseconds;
    for (int i = 0; i < kSuggestions; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto proposal = proposer->propose(view, rng);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      if (!proposal || view.is_taken(space.identity(proposal->values))) fmt::print("{}: nothing new\n", proposer_name);
      milliseconds.push_back(took.count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    fmt::print("| {} | {} | {} | {:.2f} | {:.2f} |\n", name, space.fields().size(), proposer_name,
               milliseconds[kSuggestions / 2], milliseconds.back());
  }
}

int main() {
  fmt::print("| space | fields | proposer | median, ms | worst of {}, ms |\n|---|---|---|---|---|\n", kSuggestions);
  measure("recipe", RecipeSpace(recipe::Recipe()));
  std::vector<SearchField> fields;
  for (const char* name : {"lr", "bs"}) fields.push_back({name, Axis::kLog, 1e-4, 1e-1, {}, {}, {}});
  measure("two numbers", SearchSpace(fields));
  return 0;
}

}  // namespace
}  // namespace flywheel::search

int main() {
  return flywheel::search::main();
}
