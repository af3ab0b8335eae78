#include <algorithm>
#include <array>

#include "search/proposers/proposer.h"

namespace flywheel::search {

std::unique_ptr<Proposer> make_list(const workload::SearchSpace&, const ProposerOptions&);
std::unique_ptr<Proposer> make_random(const workload::SearchSpace&, const ProposerOptions&);
std::unique_ptr<Proposer> make_local(const workload::SearchSpace&, const ProposerOptions&);
std::unique_ptr<Proposer> make_evolve(const workload::SearchSpace&, const ProposerOptions&);
std::unique_ptr<Proposer> make_bayes(const workload::SearchSpace&, const ProposerOptions&);

namespace {

constexpr size_t kEnumerated = 5000;  // points of a space that is searched to the last one

constexpr size_t kFewFields = 4;
constexpr size_t kFewPoints = 400;  // points of a space that are all looked at at every step

constexpr ProposerRow kProposers[] = {
    {"list", "the changes of a TOML file, in its order", make_list},
    {"random", "uniform over the space", make_random, 0.02},
    {"local", "one change around the best so far, step sizes adapted", make_local, 1, 2},
    {"evolve", "ageing evolution: mutate and cross the best of a sample of a population that forgets", make_evolve, 1,
     6},
    {"bayes", "a Gaussian process over fields, scale and curves: expected gain at the target scale per FLOP",
     make_bayes, 1, 1, true},
};

}  // namespace

std::span<const ProposerRow> proposer_table() {
  return kProposers;
}

const ProposerRow& proposer_row(std::string_view name) {
  std::string known;
  for (const ProposerRow& row : kProposers) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw_bad_input("unknown proposer \"{}\"; known are {}", name, known);
}

std::unique_ptr<Proposer> make_proposer(std::string_view name, const workload::SearchSpace& space,
                                        const ProposerOptions& options) {
  return proposer_row(name).make(space, options);
}

bool has_many_fields(const workload::SearchSpace& space) {
  return space.fields().size() > kFewFields;
}

bool has_few_points(const workload::SearchSpace& space) {
  return space.size(kFewPoints) > 0;
}

std::vector<const Trial*> best_trials(const SearchView& view, size_t count) {
  std::vector<std::pair<double, const Trial*>> ended;
  for (size_t i = 0; i < view.trials.size(); ++i) {
    const Trial& trial = view.trials[i];
    if (trial.state != TrialState::kDone || trial.values.empty()) continue;
    ended.emplace_back(view.believed.empty() ? trial.loss : view.believed[i], &trial);
  }
  const auto kept = ended.begin() + static_cast<std::ptrdiff_t>(std::min(count, ended.size()));
  std::partial_sort(ended.begin(), kept, ended.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->id < b.second->id;
  });
  std::vector<const Trial*> best;
  for (auto each = ended.begin(); each != kept; ++each) best.push_back(each->second);
  return best;
}

std::vector<workload::Values> Proposer::candidates(const SearchView& view, size_t count, Rng& rng) {
  std::vector<workload::Values> points;
  for (size_t i = 0; i < count; ++i) {
    auto proposal = propose(view, rng);
    if (!proposal) break;
    points.push_back(std::move(proposal->values));
  }
  return points;
}

std::optional<workload::Values> free_sample(const SearchView& view, Rng& rng) {
  const size_t points = view.space.size(kEnumerated);
  const int draws = points == 0 ? 50 : 8;
  if (auto found = first_free(view, draws, [&] { return view.space.sample(rng); })) return found;
  if (points == 0) return std::nullopt;
  std::vector<workload::Values> free;
  for (workload::Values& values : view.space.all())
    if (!view.is_taken(view.space.identity(values)) && view.space.refusal(values).empty())
      free.push_back(std::move(values));
  if (free.empty()) return std::nullopt;
  return free[rng.below(free.size())];
}

}  // namespace flywheel::search
