// The frontier's own trend: best loss of each compute level as a local power law of C, no irreducible loss. Small
// ladders sit far above their irreducible loss, where a law with E bends too early; the trend bends too late. A
// forecast blends the two, and their disagreement widens its interval.
#pragma once

#include <span>

#include "scaling/law.h"

namespace flywheel::scaling {

struct Trend {
  double slope = 0;     // d ln L / d ln C over the last levels
  double ln_flops = 0;  // of the last level
  double ln_loss = 0;   // fitted there
  int levels = 0;       // 0: fewer than three levels, no trend
  double loss(double flops) const;
};
// Of the last four levels of points; each level speaks through its isoFLOP minimum, or its best run at an edge.
Trend frontier_trend(std::span<const Point> points);

// `law` (from compute_optimal or predict of `fit`) at `flops`, moved towards the trend: not inside the data, half way
// from kFullBlendDecades beyond it on. The interval grows by half the disagreement, in quadrature, in log loss.
Optimum blend(const Fit& fit, const Trend& trend, double flops, const Optimum& law);
inline constexpr double kFullBlendDecades = 0.2;

}  // namespace flywheel::scaling
