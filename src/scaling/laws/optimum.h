// The lowest point of a curve over a range: a coarse scan, then golden section. Why not a formula: laws and surfaces
// have one only in the simplest cases.
#pragma once

#include <algorithm>
#include <cmath>

namespace flywheel::scaling {

// Where `value` is least in [from, to], to 1e-5; the scan has `steps` intervals, and the best one's neighbours are
// searched.
template <typename Function>
double minimum_of(const Function& value, double from, double to, int steps) {
  const double width = (to - from) / steps;
  int best = 0;
  double lowest = INFINITY;
  for (int i = 0; i <= steps; ++i) {
    const double here = value(from + i * width);
    if (here < lowest) lowest = here, best = i;
  }
  double a = std::max(from, from + (best - 1) * width), b = std::min(to, from + (best + 1) * width);
  constexpr double kGolden = 0.6180339887498949;
  double x = b - kGolden * (b - a), y = a + kGolden * (b - a), fx = value(x), fy = value(y);
  while (b - a > 1e-5) {
    if (fx <= fy) {
      b = y, y = x, fy = fx, x = b - kGolden * (b - a), fx = value(x);
    } else {
      a = x, x = y, fx = fy, y = a + kGolden * (b - a), fy = value(y);
    }
  }
  return 0.5 * (a + b);
}

}  // namespace flywheel::scaling
