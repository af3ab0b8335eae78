#include "evidence/paired_runs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

// A base of L = 2 C^-0.1 beside a candidate that is worth `times` the compute.
std::vector<RungPairs> pairs_of(double times, double noise, std::vector<double> rungs, int n = 8) {
  Rng rng(7);
  std::vector<RungPairs> pairs;
  for (const double flops : rungs) {
    pairs.push_back({flops, {}, {}});
    for (int i = 0; i < n; ++i) {
      const double base = 2 * std::pow(flops, -0.1) + noise * rng.normal();
      pairs.back().base.push_back(base);
      pairs.back().difference.push_back(2 * std::pow(times * flops, -0.1) + noise * rng.normal() - base);
    }
  }
  return pairs;
}

// The base as the candidate, and the candidate as the base.
std::vector<RungPairs> swapped(std::vector<RungPairs> pairs) {
  for (RungPairs& rung : pairs)
    for (size_t i = 0; i < rung.base.size(); ++i) {
      rung.base[i] += rung.difference[i];
      rung.difference[i] *= -1;
    }
  return pairs;
}

TEST(PairedEffect, IsWorthItsMultiple) {
  const PairedEffect effect = paired_effect(pairs_of(1.5, 1e-4, {1, 3}));
  EXPECT_TRUE(effect.slope_is_sure);
  EXPECT_NEAR(effect.slope.value, -0.1, 0.002);
  ASSERT_EQ(effect.rungs.size(), 2u);
  for (const RungEffect& rung : effect.rungs) {
    EXPECT_NEAR(rung.multiplier.value, 1.5, 0.03);
    EXPECT_LT(rung.multiplier.low, 1.5);
    EXPECT_GT(rung.multiplier.high, 1.5);
  }
  EXPECT_EQ(effect.at_least, (std::vector<double>{0, 0}));
}

// The candidate's optimizer takes a quarter of the model's FLOPs more than the base's.
TEST(PairedEffect, AnOptimizerThatCostsAQuarterMoreTakesExactlyThatFactorOffTheMultiplier) {
  std::vector<RungPairs> pairs = pairs_of(1.5, 1e-4, {1, 3});
  const PairedEffect free = paired_effect(pairs);
  for (RungPairs& rung : pairs) rung.cost = 1.25;
  const PairedEffect paid = paired_effect(pairs);
  const Interval difference{-0.05, -0.06, -0.04};
  for (const auto& [before, after] : {std::pair{free.rungs[0].multiplier, paid.rungs[0].multiplier},
                                      std::pair{free.rungs[1].multiplier, paid.rungs[1].multiplier},
                                      std::pair{free.multiplier_of(difference), paid.multiplier_of(difference)}}) {
    EXPECT_NEAR(after.value, before.value / 1.25, 1e-12);
    EXPECT_NEAR(after.low, before.low / 1.25, 1e-12);
    EXPECT_NEAR(after.high, before.high / 1.25, 1e-12);
  }
  EXPECT_GT(paid.rungs[0].multiplier.high, 1.15);
  EXPECT_NEAR(paid.rungs[0].multiplier.value, 1.2, 0.03);
}

TEST(PairedEffect, TimeIsWhatTheBaseWouldTakeOverWhatTheCandidateTook) {
  std::vector<RungPairs> pairs = pairs_of(1.5, 1e-4, {1, 3});
  EXPECT_TRUE(std::isnan(paired_effect(pairs).time_multiplier_of({-0.05, -0.06, -0.04}).value));
  for (RungPairs& rung : pairs) rung.time.assign(rung.difference.size(), 2.0);
  const PairedEffect effect = paired_effect(pairs);
  EXPECT_NEAR(effect.time.value, 2, 1e-12);
  const Interval difference{-0.05, -0.06, -0.04};
  EXPECT_NEAR(effect.time_multiplier_of(difference).value, effect.multiplier_of(difference).value / 2, 1e-12);
  // Seconds that scatter from pair to pair widen the interval by their own.
  for (RungPairs& rung : pairs)
    for (size_t i = 0; i < rung.time.size(); ++i) rung.time[i] = i % 2 == 0 ? 1.6 : 2.5;
  const PairedEffect busy = paired_effect(pairs);
  EXPECT_NEAR(busy.time.value, 2, 1e-12);
  EXPECT_LT(busy.time.low, 1.9);
  EXPECT_LT(busy.time_multiplier_of(difference).low, effect.time_multiplier_of(difference).low);
  EXPECT_GT(busy.time_multiplier_of(difference).high, effect.time_multiplier_of(difference).high);
}

TEST(PairedEffect, ABaseThatLosesWithMoreComputeBoundsItFromBelow) {
  const PairedEffect effect = paired_effect(pairs_of(5, 1e-3, {1, 3, 9}));
  EXPECT_EQ(effect.at_least, (std::vector<double>{3, 3, 0}));
  EXPECT_GE(effect.rungs[0].multiplier.low, 3);
}

TEST(PairedEffect, BeyondTheFarthestMultipleOnlyABoundIsSaid) {
  const PairedEffect effect = paired_effect(pairs_of(500, 1e-4, {1, 3}));
  EXPECT_EQ(effect.rungs[1].multiplier.value, kFarthestMultiple);
  EXPECT_EQ(effect.rungs[1].multiplier.low, kFarthestMultiple);
  EXPECT_EQ(effect.rungs[1].multiplier.high, INFINITY);
  EXPECT_FALSE(std::isfinite(effect.rungs[1].multiplier.high));
}

// What is said of the candidate beside the base is said, mirrored, of the base beside the candidate.
TEST(PairedEffect, SwappedSidesGiveMirroredStatements) {
  for (const double times : {1.5, 5.0, 7.8, 500.0}) {
    SCOPED_TRACE(times);
    std::vector<RungPairs> pairs = pairs_of(times, 1e-3, {1, 3});
    const PairedEffect one = paired_effect(pairs), other = paired_effect(swapped(pairs));
    for (size_t r = 0; r < 2; ++r) {
      const Interval a = one.rungs[r].multiplier, b = other.rungs[r].multiplier;
      EXPECT_NEAR(a.value * b.value, 1, 0.1);
      EXPECT_EQ(b.low == 0, !std::isfinite(a.high));
      if (b.low > 0) {
        EXPECT_NEAR(a.high * b.low, 1, 0.1);
      }
    }
    const Interval d = one.rungs[1].difference, together = one.multiplier_of(d);
    const Interval mirrored = other.multiplier_of({-d.value, -d.high, -d.low});
    EXPECT_NEAR(together.value * mirrored.value, 1, 0.1);
    EXPECT_EQ(mirrored.low == 0, !std::isfinite(together.high));
    if (times < kFarthestMultiple) continue;
    for (const RungEffect& rung : other.rungs) {
      EXPECT_EQ(rung.multiplier.value, 1 / kFarthestMultiple);
      EXPECT_EQ(rung.multiplier.low, 0);
      EXPECT_EQ(rung.multiplier.high, 1 / kFarthestMultiple);
    }
  }
  // A base that loses with 9 times the compute, and, the other way, wins with a ninth of it: the rungs' own distance.
  const std::vector<RungPairs> pairs = pairs_of(500, 1e-3, {1, 3, 9});
  EXPECT_EQ(paired_effect(pairs).rungs[0].multiplier.low, 9);
  EXPECT_EQ(paired_effect(swapped(pairs)).rungs[2].multiplier.high, 1.0 / 9);
}

// More compute does not help this base: no difference can be turned into compute.
TEST(PairedEffect, WithoutASlopeOnlyWhatWasMeasuredIsSaid) {
  std::vector<RungPairs> flat(2);
  Rng rng(3);
  for (size_t r = 0; r < 2; ++r) {
    flat[r].flops = r == 0 ? 1 : 3;
    for (int i = 0; i < 6; ++i) {
      flat[r].base.push_back(4 + 0.1 * rng.normal());
      flat[r].difference.push_back(3.2 + 0.01 * rng.normal() - flat[r].base.back());
    }
  }
  const PairedEffect better = paired_effect(flat);
  EXPECT_FALSE(better.slope_is_sure);
  EXPECT_EQ(better.rungs[0].multiplier.low, 3);  // the base loses with three times the compute
  EXPECT_TRUE(std::isnan(better.rungs[1].multiplier.value));
  EXPECT_EQ(better.rungs[1].multiplier.low, 1);
  EXPECT_EQ(better.rungs[1].multiplier.high, INFINITY);
  EXPECT_TRUE(std::isnan(better.multiplier_of({-0.8, -0.9, -0.7}).value));
  EXPECT_EQ(better.multiplier_of({-0.8, -0.9, -0.7}).low, 1);  // the upper rung has no such bound
  for (RungPairs& rung : flat)
    for (double& d : rung.difference) d = 0.02 * rng.normal();
  const PairedEffect nothing = paired_effect(flat);
  EXPECT_TRUE(std::isnan(nothing.multiplier_of({0.001, -0.02, 0.02}).value));
  EXPECT_EQ(nothing.multiplier_of({0.001, -0.02, 0.02}).low, 0);
  EXPECT_EQ(nothing.multiplier_of({0.1, 0.05, 0.2}).high, 1);
}

}  // namespace
}  // namespace flywheel::evidence
