// Small sums over paired runs, for the campaign's search and `flywheel compare`. Pure.
#pragma once

#include <vector>

#include "research/multiplier.h"

namespace flywheel::research {

double mean_of(const std::vector<double>& values);  // REQUIRES some
double sd_of(const std::vector<double>& values);    // 0 for fewer than two
// 90% of Student's t about the mean; infinite for fewer than two.
Interval student90(const std::vector<double>& values);
// d ln L / d ln C from losses of one recipe on two rungs.
Slope slope_between(double low_flops, const std::vector<double>& low, double high_flops,
                    const std::vector<double>& high);
inline constexpr double kUsualSlope = -0.08;  // until it is measured; then half of it is its deviation

}  // namespace flywheel::research
