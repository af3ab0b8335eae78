// The best size at one compute level: a robust parabola of ln L in ln N (approach 2 of Hoffmann et al. 2022).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct IsoflopMinimum {
  double N = 0, L = 0;  // of the parabola; the best run's own where there is no inner minimum
  double N_low = 0, N_high = 0, L_low = 0, L_high = 0;  // 90%, bootstrap of residuals
  double curvature = 0;                                 // d2 ln L / d(ln N)2
  bool at_edge = false;  // the minimum lies at or beyond the sizes sampled: sample further on that side
  std::string warning;   // empty, or what is missing in words
};

// Throws kBadInput for no points or values that are not finite and above 0. D and C are not looked at.
IsoflopMinimum isoflop_minimum(std::span<const Point> level, uint64_t seed = 1, int bootstrap = 200);

}  // namespace flywheel::scaling
