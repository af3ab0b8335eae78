#include "evidence/noise.h"

#include <cmath>
#include <numeric>

namespace flywheel::evidence {
namespace {

// The 5% or the 95% quantile of chi squared with k degrees of freedom: exact for one and two, where the approximation
// of Wilson and Hilferty (1931), used above, is poor.
double chi_squared_quantile(int k, bool upper) {
  if (k == 1) return upper ? 3.841459 : 0.003932140;
  if (k == 2) return upper ? 5.991465 : 0.1025866;
  const double z = upper ? 1.644854 : -1.644854, c = 2.0 / (9.0 * k);
  return k * std::pow(1 - c + z * std::sqrt(c), 3);
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
  floor.low = std::sqrt(squares / chi_squared_quantile(degrees, true));
  floor.high = std::sqrt(squares / chi_squared_quantile(degrees, false));
  return floor;
}

}  // namespace flywheel::evidence
