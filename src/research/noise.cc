#include "research/noise.h"

#include <cmath>
#include <numeric>

namespace flywheel::research {
namespace {

// Quantile of chi squared with k degrees of freedom (Wilson and Hilferty 1931), z the normal quantile.
double chi_squared_quantile(double k, double z) {
  const double c = 2.0 / (9.0 * k);
  return k * std::pow(std::max(1 - c + z * std::sqrt(c), 1e-3), 3);
}

}  // namespace

NoiseFloor noise_floor(double rung_flops, const std::vector<std::vector<double>>& groups) {
  NoiseFloor floor;
  floor.rung_flops = rung_flops;
  double squares = 0;
  int degrees = 0;
  for (const std::vector<double>& group : groups) {
    if (group.size() < 2) continue;
    const double mean = std::accumulate(group.begin(), group.end(), 0.0) / static_cast<double>(group.size());
    for (double value : group) squares += (value - mean) * (value - mean);
    degrees += static_cast<int>(group.size()) - 1;
    floor.replicates += static_cast<int>(group.size());
  }
  if (degrees == 0) return floor;
  floor.bits_per_byte_sd = std::sqrt(squares / degrees);
  floor.low = std::sqrt(squares / chi_squared_quantile(degrees, 1.6449));
  floor.high = std::sqrt(squares / chi_squared_quantile(degrees, -1.6449));
  return floor;
}

}  // namespace flywheel::research
