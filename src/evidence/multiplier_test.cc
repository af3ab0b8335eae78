#include "evidence/multiplier.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flywheel::evidence {
namespace {

RungEffect effect(double flops, double value, double factor) {
  return {flops, 8, {}, {value, value / factor, value * factor}};
}

// A recipe whose loss is that of the old one at m times the compute is worth m, whatever the law.
TEST(ComputeMultiplier, OfALossThatMoreComputeReachesIsThatCompute) {
  for (const double m : {0.8, 1.1, 1.5}) {
    const double slope = -0.09, base = 2.1;
    const double difference = base * (std::pow(m, slope) - 1);
    const Interval found = compute_multiplier(base, {slope, 0}, {difference, difference - 0.01, difference + 0.01});
    EXPECT_NEAR(found.value, m, 1e-9);
    EXPECT_NEAR(found.low, std::pow((base + difference + 0.01) / base, 1 / slope), 1e-9);
    EXPECT_NEAR(found.high, std::pow((base + difference - 0.01) / base, 1 / slope), 1e-9);
  }
}

TEST(ComputeMultiplier, UncertainSlopesWidenTheInterval) {
  const Interval known = compute_multiplier(2, {-0.1, 0}, {-0.05, -0.06, -0.04});
  const Interval unsure = compute_multiplier(2, {-0.1, 0.02}, {-0.05, -0.06, -0.04});
  EXPECT_DOUBLE_EQ(known.value, unsure.value);
  EXPECT_LT(unsure.low, known.low);
  EXPECT_GT(unsure.high, known.high);
  EXPECT_EQ(compute_multiplier(2, {-0.1, 0.2}, {-0.05, -0.06, -0.04}).high, INFINITY);
  EXPECT_EQ(compute_multiplier(2, {-0.1, 0.02}, {0, -0.01, 0.01}).value, 1);
}

TEST(ComputeMultiplier, IsDividedByWhatTheCandidateCostsMore) {
  const Interval exact = at_equal_cost({1.5, 1.2, 1.8}, {1.25, 1.25, 1.25});
  EXPECT_DOUBLE_EQ(exact.value, 1.5 / 1.25);
  EXPECT_NEAR(exact.low, 1.2 / 1.25, 1e-12);
  EXPECT_NEAR(exact.high, 1.8 / 1.25, 1e-12);
  // Measured costs widen it: the spreads of the logarithms add in squares.
  const Interval measured = at_equal_cost({1.5, 1.2, 1.8}, {1.25, 1.1, 1.4});
  EXPECT_DOUBLE_EQ(measured.value, 1.2);
  EXPECT_NEAR(measured.low, 1.2 * std::exp(-std::hypot(std::log(1.5 / 1.2), std::log(1.4 / 1.25))), 1e-12);
  EXPECT_NEAR(measured.high, 1.2 * std::exp(std::hypot(std::log(1.8 / 1.5), std::log(1.25 / 1.1))), 1e-12);
  // Bounds stay bounds.
  const Interval bound = at_equal_cost({NAN, 1, INFINITY}, {2, 1.5, 2.5});
  EXPECT_TRUE(std::isnan(bound.value));
  EXPECT_DOUBLE_EQ(bound.low, 0.4);
  EXPECT_EQ(bound.high, INFINITY);
}

TEST(Extrapolation, OfEqualRungsIsTheSameAndLessSureFartherOut) {
  const RungEffect rungs[] = {effect(1e11, 1.3, 1.05), effect(4e11, 1.3, 1.05)};
  const Extrapolation near = extrapolate(rungs, 1e12), far = extrapolate(rungs, 1e14);
  EXPECT_NEAR(near.multiplier.value, 1.3, 1e-9);
  EXPECT_NEAR(far.multiplier.value, 1.3, 1e-9);
  EXPECT_LT(far.multiplier.low, near.multiplier.low);
  EXPECT_GT(far.multiplier.high, near.multiplier.high);
  EXPECT_EQ(far.warning, "");
}

TEST(Extrapolation, SaysWhenTheRankingFlipsOrTheGainFades) {
  const RungEffect flip[] = {effect(1e11, 1.3, 1.05), effect(4e11, 0.8, 1.05)};
  EXPECT_TRUE(extrapolate(flip, 1e12).flips);
  const RungEffect fade[] = {effect(1e11, 1.5, 1.02), effect(4e11, 1.2, 1.02)};
  const Extrapolation fading = extrapolate(fade, 4e12);
  EXPECT_FALSE(fading.flips);
  EXPECT_NE(fading.warning, "");
  const RungEffect one[] = {effect(1e11, 1.5, 1.02)};
  EXPECT_NEAR(extrapolate(one, 1e12).multiplier.value, 1.5, 1e-9);
}

}  // namespace
}  // namespace flywheel::evidence
