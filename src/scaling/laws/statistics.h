// Small robust statistics that the room shares.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace flywheel::scaling {

inline constexpr double kNormal90 = 1.6448536269514722;  // half-width of a 90% interval in standard deviations

// Linear between order statistics; p in [0, 1]. Sorts the copy it is given. 0 for an empty list.
inline double quantile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

// Median absolute value, scaled to the standard deviation of a normal.
inline double robust_sd(std::vector<double> residuals) {
  for (double& r : residuals) r = std::abs(r);
  return 1.4826 * quantile(std::move(residuals), 0.5);
}

}  // namespace flywheel::scaling
