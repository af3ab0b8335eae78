// Small sums over paired runs, for the campaign's search and `flywheel compare`. Pure.
#pragma once

#include <span>
#include <vector>

#include "base/json.h"
#include "research/multiplier.h"

namespace flywheel::research {

double mean_of(const std::vector<double>& values);  // REQUIRES some
double sd_of(const std::vector<double>& values);    // 0 for fewer than two
// 90% of Student's t about the mean; infinite for fewer than two.
Interval student90(const std::vector<double>& values);
// d ln L / d ln C from losses of one recipe on two rungs.
Slope slope_between(double low_flops, const std::vector<double>& low, double high_flops,
                    const std::vector<double>& high);
// Pairs of one rung: what the base reached, and candidate minus base.
struct RungPairs {
  double flops = 0;
  std::vector<double> base, difference;
};
// What pairs on two rungs, low and high, say: each rung's difference (90%, Student's t) and its worth in compute, by the
// slope of the base between the two.
struct PairedEffect {
  Slope slope;
  double base = 0;  // mean over the rungs
  std::vector<RungEffect> rungs;  // those with pairs, low to high
};
PairedEffect paired_effect(std::span<const RungPairs, 2> rungs);
// [{"flops","pairs","difference","low","high","compute_multiplier":{"value","low","high"}}]; null: not finite.
Json to_json(const std::vector<RungEffect>& rungs);
Json to_json(const Interval& interval);  // {"value","low","high"}
inline constexpr double kUsualSlope = -0.08;  // until it is measured; then half of it is its deviation

}  // namespace flywheel::research
