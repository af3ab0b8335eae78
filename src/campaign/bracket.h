// Whether a rung holds its best size between others, and what to run where it does not. Pure, deterministic.
// Why: a minimum at the smallest or largest size is a bound and no optimum; a law fitted to such rungs alone leaves the
// exponents of size and data, and so the compute-optimal size, to its prior.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "campaign/ladder_points.h"

namespace flywheel::campaign {

inline constexpr int kBracketedRungs = 3;  // fewer minima leave no degree of freedom for how the best size grows
inline constexpr int kBracketSizes = 3;    // of a rung: the best size and one on each side

// On which side of the sizes that were run a rung's minimum lies.
enum class Side { kInner, kSmaller, kLarger };
Side side_of_minimum(const RungMinimum& rung);

// The compute at which the second smallest size becomes the best one, where the smallest is best on all of these rungs:
// the difference of their log losses, as a line in ln C through the last two rungs that have both, extrapolated to
// zero. Empty with fewer than two such rungs, or where the difference does not shrink.
std::optional<double> compute_of_inner_minimum(std::span<const RungMinimum> rungs);

// `rungs` without those after number `last` that lie below `flops`; the top one stays, and the one below it.
std::vector<double> without_rungs_below(std::vector<double> rungs, size_t last, double flops);

}  // namespace flywheel::campaign
