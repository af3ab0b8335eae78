// By simulation: what the test promises holds for noise of any shape and for any rule of stopping.
#include "evidence/median_evidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr double kLeastScale = 1e-4;

double difference_of(int shape, Rng& rng) {
  const auto noise = [&] {
    const double z = rng.normal();
    switch (shape) {
      case 1:
        return std::exp(z);  // skewed
      case 2:
        return z + (rng.uniform() < 0.1 ? 20 : 0);  // now and then a run goes astray
      case 3:
        return std::round(2 * z);  // coarse
      case 4:
        return rng.uniform() < 0.1 ? double{INFINITY} : z;  // or fails
      default:
        return z;
    }
  };
  while (true)
    if (const double d = noise() - noise(); !std::isnan(d)) return d;
}

TEST(MedianTest, FalseAlarmsStayBelowAlphaAtAnyStoppingTimeForAnyNoise) {
  for (int shape = 0; shape < 5; ++shape) {
    int alarms = 0;
    for (uint64_t world = 0; world < 1000; ++world) {
      Rng rng(world, 5);
      MedianTest test;
      for (int i = 0; i < 25; ++i) {
        test.add(difference_of(shape, rng), kLeastScale);
        if (test.log_e_below(0) < std::log(20.0)) continue;
        ++alarms;
        break;
      }
    }
    EXPECT_LE(alarms, 50) << shape;
  }
}

TEST(MedianTest, IntervalHoldsTheMedianAtAllTimesAtOnceAndAgreesWithTheTest) {
  for (int shape = 0; shape < 5; ++shape) {
    int missed = 0;
    for (uint64_t world = 0; world < 100; ++world) {
      Rng rng(world, 8);
      MedianTest test;
      bool held = true;
      for (int i = 0; i < 12; ++i) {
        test.add(-0.7 + difference_of(shape, rng), kLeastScale);
        const Interval interval = test.interval(0.1);
        held = held && interval.low <= -0.7 && -0.7 <= interval.high;
        EXPECT_EQ(interval.high < 0, test.log_e_below(0) >= std::log(20.0));
      }
      missed += !held;
    }
    EXPECT_LE(missed, 10) << shape;
  }
}

// Four times the pairs, half the width, but for a logarithm.
TEST(MedianTest, IntervalShrinksWithTheRootOfThePairs) {
  Rng rng(1);
  MedianTest test;
  double before = 0;
  for (int i = 1; i <= 1600; ++i) {
    test.add(rng.normal(), kLeastScale);
    if (i != 100 && i != 400 && i != 1600) continue;
    const Interval interval = test.interval(0.05);
    const double width = interval.high - interval.low;
    if (before > 0) {
      EXPECT_GT(before / width, 1.6);
      EXPECT_LT(before / width, 2.6);
    }
    before = width;
  }
  EXPECT_LT(before, 0.2);
}

TEST(MedianTest, SevenPairsOfALargeEffectAreEnoughAndFewerAreNot) {
  MedianTest test;
  Rng rng(4);
  for (int i = 1; i <= 7; ++i) {
    test.add(-1 + 0.01 * rng.normal(), kLeastScale);
    EXPECT_EQ(test.log_e_below(0) >= std::log(50.0), i == 7) << i;
  }
}

TEST(MedianTest, FailuresCountInFullAndLeaveAMedian) {
  MedianTest test;
  for (int i = 0; i < 3; ++i) test.add(INFINITY, kLeastScale);
  EXPECT_GT(test.log_e_above(1e9), std::log(2.0));
  EXPECT_TRUE(std::isinf(test.median()));
  for (int i = 0; i < 20; ++i) test.add(0.1 * (i % 5), kLeastScale);
  EXPECT_NEAR(test.median(), 0.2, 0.11);
  EXPECT_TRUE(std::isfinite(test.interval(0.05).high));
}

TEST(MedianTest, PairsToGoAreThoseThatItThenTakes) {
  std::vector<double> ratios;
  for (uint64_t seed = 1; seed <= 41; ++seed) {
    Rng rng(seed);
    MedianTest test;
    for (int i = 0; i < 20; ++i) test.add(rng.normal() - 0.3, kLeastScale);
    if (test.log_e_below(0) >= std::log(50.0)) continue;
    const double to_go = test.pairs_to_below(0, -0.3, std::log(50.0));
    int took = 0;
    for (; test.log_e_below(0) < std::log(50.0); ++took) test.add(rng.normal() - 0.3, kLeastScale);
    ratios.push_back(to_go / took);
  }
  EXPECT_GT(ratios.size(), 30u);
  EXPECT_GT(median(ratios), 0.6);
  EXPECT_LT(median(ratios), 1.6);
  MedianTest better;
  for (int i = 0; i < 20; ++i) better.add(-1 + 0.01 * i, kLeastScale);
  EXPECT_TRUE(std::isinf(better.pairs_to_above(0, -1, std::log(1e9))));
  EXPECT_EQ(better.pairs_to_below(0, -1, std::log(50.0)), 0);
}

TEST(MedianTest, MirroredDifferencesGiveTheMirroredEvidence) {
  MedianTest one, other;
  for (const double d : {0.3, -1.2, 2.0, -0.1, 0.4}) one.add(d, kLeastScale), other.add(-d, kLeastScale);
  EXPECT_DOUBLE_EQ(one.log_e_below(0.2), other.log_e_above(-0.2));
  EXPECT_NEAR(one.interval(0.9).low, -other.interval(0.9).high, 1e-9);
}

}  // namespace
}  // namespace flywheel::evidence
