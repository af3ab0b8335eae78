// The noise floor: the standard deviation between replicates at a rung. Pure functions.
#pragma once

#include <vector>

namespace flywheel::evidence {

struct NoiseFloor {
  double rung_flops = 0;
  double bits_per_byte_sd = 0;
  double low = 0, high = 0;  // 90% interval of the deviation (chi squared)
  int replicates = 0;        // runs that went into it
};
// The pooled deviation of groups of replicates (same recipe, size and data, different seeds). Groups of one contribute
// nothing. `replicates` is 0 when no group has two.
NoiseFloor noise_floor(double rung_flops, const std::vector<std::vector<double>>& groups);

}  // namespace flywheel::evidence
