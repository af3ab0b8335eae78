// Ageing evolution (Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", algorithm 1):
// the oldest of the population dies, whatever its loss, and the best of a small sample has the next child. Children
// are also crossed, field by field, with a second parent, and mutate one field or, sometimes, two.
#include <algorithm>
#include <cmath>
#include <deque>

#include "search/proposers/proposer.h"

namespace flywheel::search {
namespace {

constexpr size_t kPopulation = 32, kTournament = 8;
constexpr double kCrossed = 0.3, kSecondMutation = 0.3;

struct Member {
  workload::Values values;
  double loss = 0;
};

class EvolveProposer : public Proposer {
 public:
  std::string_view name() const override { return "evolve"; }

  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    const size_t dimensions = view.space.fields().size();
    const size_t first = std::min<size_t>(kPopulation / 2, 4 + dimensions);
    std::optional<workload::Values> values;
    if (population_.size() >= first)
      values = first_free(view, 12, [&] { return child(view.space, rng); });
    else if (const workload::Values centre = view.space.centre();
             population_.empty() && view.space.refusal(centre).empty() && !view.is_taken(view.space.identity(centre)))
      values = centre;
    if (!values) values = free_sample(view, rng);
    if (!values) return std::nullopt;
    return Proposal{std::move(*values), view.rung_flops.front(), std::nullopt, "", ""};
  }

  // Trials of all proposers join the population.
  void observe(const SearchView&, const Trial& trial) override {
    if (trial.state != TrialState::kDone && trial.state != TrialState::kStopped) return;
    population_.push_back({trial.values, trial.loss});
    if (population_.size() > kPopulation) population_.pop_front();
  }

 private:
  const Member& winner(Rng& rng) const {
    const Member* best = nullptr;
    for (size_t i = 0; i < std::min(kTournament, population_.size()); ++i) {
      const Member& member = population_[rng.below(population_.size())];
      if (best == nullptr || member.loss < best->loss) best = &member;
    }
    return *best;
  }

  workload::Values child(const workload::SearchSpace& space, Rng& rng) const {
    workload::Values values = winner(rng).values;
    if (rng.uniform() < kCrossed) {
      const workload::Values& other = winner(rng).values;
      for (size_t i = 0; i < values.size(); ++i)
        if (rng.below(2) == 0 && !std::isnan(other[i])) values[i] = other[i];
      values = space.canonical(std::move(values));
    }
    const int mutations = rng.uniform() < kSecondMutation ? 2 : 1;
    for (int i = 0; i < mutations; ++i) {
      // Steps over two decades: fine ones refine, coarse ones keep looking.
      const double step = std::pow(10.0, -2 * rng.uniform()) * 0.4;
      values = space.neighbour(values, rng.below(values.size()), step, rng);
    }
    return values;
  }

  std::deque<Member> population_;  // oldest first
};

}  // namespace

std::unique_ptr<Proposer> make_evolve(const workload::SearchSpace&, const ProposerOptions&) {
  return std::make_unique<EvolveProposer>();
}

}  // namespace flywheel::search
