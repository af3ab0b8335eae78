// One change around the incumbent. Each field has its own step, longer after a success and shorter after a miss (the
// one-fifth success rule: Rechenberg 1973; in the form of Kern et al. 2004), and fields that helped are moved more
// often.
#include <algorithm>
#include <cmath>

#include "search/proposers/proposer.h"

namespace flywheel::search {
namespace {

constexpr double kFirstStep = 0.2, kLongest = 0.5, kShortest = 0.01;
constexpr double kLonger = 1.5, kShorter = 0.9036;  // 1.5^(-1/4): steady at one success in five
constexpr int kDraws = 12;                          // of one suggestion, before it looks anywhere in the space

struct Arm {
  double step = kFirstStep;
  double successes = 1, tries = 2;
};

class LocalProposer : public Proposer {
 public:
  explicit LocalProposer(size_t fields) : arms_(fields) {}
  std::string_view name() const override { return "local"; }

  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    const double rung = view.rung_flops.front();
    const workload::Values from = view.incumbent != nullptr ? view.incumbent->values : view.space.centre();
    if (view.incumbent == nullptr && !view.is_taken(view.space.identity(from)) && view.space.refusal(from).empty())
      return Proposal{from, rung, std::nullopt, "", ""};
    double widen = 1;
    auto values = first_free(view, kDraws, [&] {
      const size_t field = choose(rng);
      widen *= 1.2;
      return view.space.neighbour(from, field, std::min(1.0, arms_[field].step * widen), rng);
    });
    if (!values) values = free_sample(view, rng);
    if (!values) return std::nullopt;
    return Proposal{std::move(*values), rung, std::nullopt, "", ""};
  }

  void observe(const SearchView& view, const Trial& trial) override {
    if (trial.proposer != name()) return;
    // The field it moved is the one in which it differs from the incumbent of then; several: not one of ours to learn.
    const size_t moved = only_difference(trial.values);
    if (moved < arms_.size()) {
      Arm& arm = arms_[moved];
      const bool better = trial.gain > 0;
      arm.tries = 0.95 * arm.tries + 1;
      arm.successes = 0.95 * arm.successes + (better ? 1 : 0);
      arm.step = std::clamp(arm.step * (better ? kLonger : kShorter), kShortest, kLongest);
    }
    if (view.incumbent != nullptr) centre_ = view.incumbent->values;
  }

 private:
  size_t choose(Rng& rng) const {
    double total = 0;
    for (const Arm& arm : arms_) total += arm.successes / arm.tries + 0.1;
    double left = rng.uniform() * total;
    for (size_t i = 0; i < arms_.size(); ++i) {
      left -= arms_[i].successes / arms_[i].tries + 0.1;
      if (left < 0) return i;
    }
    return arms_.size() - 1;
  }

  size_t only_difference(const workload::Values& values) const {
    size_t found = arms_.size();
    for (size_t i = 0; i < centre_.size(); ++i) {
      const bool both_absent = std::isnan(centre_[i]) && std::isnan(values[i]);
      if (both_absent || centre_[i] == values[i]) continue;
      // A field that appears or goes with the one that was moved is no change of its own.
      if (std::isnan(centre_[i]) != std::isnan(values[i])) continue;
      if (found < arms_.size()) return arms_.size();
      found = i;
    }
    return found;
  }

  std::vector<Arm> arms_;
  workload::Values centre_;
};

}  // namespace

std::unique_ptr<Proposer> make_local(const workload::SearchSpace& space, const ProposerOptions&) {
  return std::make_unique<LocalProposer>(space.fields().size());
}

}  // namespace flywheel::search
