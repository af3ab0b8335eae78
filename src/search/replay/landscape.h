// The landscape of a grid, learnt from grids of other sizes: how the best learning rate and batch follow N and D (the
// step law of Li et al. 2025 in miniature), how bent the bowl around it is, and how far such predictions are off.
#pragma once

#include <optional>
#include <vector>

#include "search/proposers/proposer.h"
#include "search/replay/replay_table.h"

namespace flywheel::search {

// What one finished sweep says.
struct Landscape {
  double log_parameters = 0, log_tokens = 0;
  std::vector<double> centre, curvature;  // per field, as in LandscapePrior; NaN: not numeric, or not to be seen
};
// The bowl through the rows near the best one: ln loss, quadratic in units, cross terms included. Empty: too few rows,
// or no bowl.
std::optional<Landscape> landscape_of(const workload::SearchSpace& space, const ReplayGrid& grid);

// Centres regressed on ln N and ln D, curvature averaged, errors by leaving one out. Empty: no landscape.
std::optional<LandscapePrior> landscape_prior(const std::vector<Landscape>& known, double log_parameters,
                                              double log_tokens);

// From every grid of the table whose N is another than the grid's: nothing of its own size is looked at. Empty: there
// are none, or N and D are not known.
std::optional<LandscapePrior> landscape_of_others(const ReplayTable& table, const ReplayGrid& grid);

}  // namespace flywheel::search
