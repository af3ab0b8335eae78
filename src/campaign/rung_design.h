// Experimental design of a rung: which sizes to run, and how many, chosen by how much they reduce the variance of the
// forecast at the target. Pure, deterministic.
#pragma once

#include <span>
#include <vector>

#include "scaling/forecast/design.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {

inline constexpr int kFewestSizes = 2;  // a single size per rung would confound size with compute
// Of the ln variance of the forecast; a run that brings less is not made.
inline constexpr double kLeastReduction = 0.1;
inline constexpr int kCandidateSizes = 7;  // from which a rung's sizes are chosen

// Sorted indices into `here`, the candidate sizes of the rung with their cost. Greedy: each step adds the size that
// reduces the variance of the forecast at `target` most per FLOP, until the reduction falls below kLeastReduction. At
// least kFewestSizes and at most `most`. Compared with fixed grids in docs/plan.md.
std::vector<size_t> choose_rung(const scaling::Forecaster& forecaster, std::span<const scaling::DesignSite> here,
                                const scaling::DesignSite& target, int most);

}  // namespace flywheel::campaign
