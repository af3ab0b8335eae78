#include "evidence/noise.h"

#include <cmath>

#include "base/statistics.h"

namespace flywheel::evidence {

NoiseFloor noise_floor(double rung_flops, const std::vector<std::vector<double>>& groups) {
  NoiseFloor floor;
  floor.rung_flops = rung_flops;
  double squares = 0;
  int degrees = 0;
  for (const std::vector<double>& group : groups) {
    if (group.size() < 2) continue;
    const double centre = mean(group);
    for (double value : group) squares += (value - centre) * (value - centre);
    degrees += static_cast<int>(group.size()) - 1;
    floor.replicates += static_cast<int>(group.size());
  }
  if (degrees == 0) return floor;
  floor.bits_per_byte_sd = std::sqrt(squares / degrees);
  floor.low = std::sqrt(squares / chi_squared_quantile(0.95, degrees));
  floor.high = std::sqrt(squares / chi_squared_quantile(0.05, degrees));
  return floor;
}

}  // namespace flywheel::evidence
