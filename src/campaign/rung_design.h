// Which sizes of a rung to run, and how many, by what they tell about the loss at the target: not a fixed number around
// the optimum. Pure, deterministic.
#pragma once

#include <span>
#include <vector>

#include "scaling/forecast/design.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {

inline constexpr int kFewestSizes = 2;          // of a rung: one alone cannot tell size from compute
inline constexpr double kWorthwhileGain = 0.1;  // of the ln variance of the forecast: less is not worth another run
inline constexpr int kCandidateSizes = 7;       // that a rung's are chosen from

// Indices into `here`, the sizes that the rung could have with what a run of each costs, sorted. One after the other
// the size that takes most of the forecast's variance at `target` per FLOP, until another would take less than
// kWorthwhileGain; at least kFewestSizes and at most `most`. Measured beside fixed grids: docs/plan.md.
std::vector<size_t> choose_rung(const scaling::Forecaster& forecaster, std::span<const scaling::DesignSite> here,
                                const scaling::DesignSite& target, int most);

}  // namespace flywheel::campaign
