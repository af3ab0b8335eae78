// Bayesian search: the expected gain of points at the target scale per FLOP, by a surrogate over fields and scale
// (surrogate.h), with failures counted nearby. `bayes` proposes the point of the largest; the candidates of a team are
// judged by it (team.h).
//
// Expected improvement: Jones et al. 1998; what a cheaper run tells about the target enters through the standard
// deviation that it explains (knowledge-gradient form, Frazier et al. 2008). Unfinished runs are assumed to end as
// predicted ("kriging believer", Ginsbourger et al. 2010); stopped ones count as their predicted end with its error.
#pragma once

#include <utility>
#include <vector>

#include "search/proposers/proposer.h"
#include "search/surrogate.h"

namespace flywheel::search {

// Keeps the surrogate's settings between calls. Not thread safe.
class ExpectedGain {
 public:
  ExpectedGain(const workload::SearchSpace& space, const std::optional<LandscapePrior>& prior)
      : surrogate_(space, prior) {}

  // Fits the surrogate to the trials so far; before rank().
  void learn(const SearchView& view);

  // Of each trial, as SearchView::believed says; after learn(). Empty without bases, as in replays: there a proposal is
  // its one run, and the lowest measured is what counts.
  std::vector<double> believed(const SearchView& view) const;

  struct Ranked {
    size_t point = 0;
    double rung_flops = 0;
    double gain = 0;  // predicted at the target, in the unit of losses
    bool may_work = true;
    double score = 0;
  };
  // Every point at every rung, best first. `units`: SearchSpace::units of each point.
  std::vector<Ranked> rank(const SearchView& view, const std::vector<std::vector<double>>& units) const;

 private:
  double level(const Trial& trial, bool positive) const;
  int untried_choices(const SearchView& view, const std::vector<double>& units) const;
  std::vector<double> success_chances(const std::vector<std::vector<double>>& units) const;

  Surrogate surrogate_;
  std::vector<std::vector<double>> failed_, done_;  // units
  double unit_ = 1, scale_ = 1;
};

}  // namespace flywheel::search
