#include "base/cluster_error.h"

#include <cmath>

#include "base/check.h"

namespace flywheel {

std::optional<double> ratio_sd(std::span<const double> y, std::span<const double> x) {
  CHECK(y.size() == x.size());
  if (y.size() < 2) return std::nullopt;
  double sum_y = 0, sum_x = 0;
  for (size_t i = 0; i < y.size(); ++i) sum_y += y[i], sum_x += x[i];
  const double ratio = sum_y / sum_x, n = static_cast<double>(y.size());
  double squares = 0;
  for (size_t i = 0; i < y.size(); ++i) squares += (y[i] - ratio * x[i]) * (y[i] - ratio * x[i]);
  return std::sqrt(n / (n - 1) * squares) / sum_x;
}

}  // namespace flywheel
