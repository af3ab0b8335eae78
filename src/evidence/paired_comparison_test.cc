#include "evidence/paired_comparison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

// Adds pairs in turn on both rungs until it is decided, or `most`.
PairedComparison compared(double difference, double noise_sd, int most, uint64_t seed = 1) {
  PairedComparison comparison(1e10, 4e10);
  Rng rng(seed);
  for (int i = 0; i < most && !comparison.decided(); ++i) {
    const double base = (i % 2 == 0 ? 3.0 : 2.7) + noise_sd * rng.normal();
    comparison.add(static_cast<size_t>(i % 2), base, base + difference + noise_sd * rng.normal());
    comparison.look();
  }
  return comparison;
}

TEST(PairedComparison, SaysBetterWorseAndUndecided) {
  const PairedComparison better = compared(-0.02, 0.005, 60), worse = compared(0.02, 0.005, 60);
  EXPECT_EQ(better.verdict(), ComparisonVerdict::kBetter);
  EXPECT_LT(better.difference(better.level()).high, 0);
  EXPECT_GE(better.log_e_better(), std::log(better.evidence_needed()));
  EXPECT_FALSE(better.more_budget());
  EXPECT_EQ(worse.verdict(), ComparisonVerdict::kWorse);
  EXPECT_GT(worse.difference(worse.level()).low, 0);
  EXPECT_EQ(compared(0, 0.005, 24).verdict(), ComparisonVerdict::kUndecided);
}

TEST(PairedComparison, LooksOnlyOnceBothRungsHavePairsAndLeavesOutThoseOfTheScale) {
  PairedComparison comparison(1e10, 4e10);
  for (int i = 0; i < 8; ++i) {
    comparison.add(0, 3, 2.9);
    EXPECT_FALSE(comparison.look());
  }
  EXPECT_FALSE(comparison.tested());
  EXPECT_TRUE(std::isinf(comparison.difference(comparison.level()).low));
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(comparison.decided());
    comparison.add(1, 2.7, 2.6);
    EXPECT_EQ(comparison.look(), i == 4);
  }
  EXPECT_EQ(comparison.pairs(), 13);
  EXPECT_EQ(comparison.tested_pairs(), 13 - 4);
}

// A large gain below says nothing about the rung above, where there is none.
TEST(PairedComparison, WhatHelpsOnOneRungOnlyIsNotBetter) {
  int better = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    PairedComparison comparison(1e10, 4e10);
    Rng rng(seed);
    for (int i = 0; i < 60 && !comparison.decided(); ++i) {
      const double base = 3 + 0.01 * rng.normal();
      comparison.add(static_cast<size_t>(i % 2), base, base + (i % 2 == 0 ? -0.05 : 0) + 0.01 * rng.normal());
      comparison.look();
    }
    better += comparison.verdict() == ComparisonVerdict::kBetter;
  }
  EXPECT_LE(better, 5);
}

TEST(PairedComparison, TwoFailuresAreWorse) {
  PairedComparison comparison(1e10, 4e10);
  comparison.add_failure("diverged");
  comparison.look();
  EXPECT_FALSE(comparison.decided());
  comparison.add_failure("out of memory");
  comparison.look();
  EXPECT_EQ(comparison.verdict(), ComparisonVerdict::kWorse);
  EXPECT_EQ(comparison.why(), "the candidate's runs fail: out of memory");
}

TEST(PairedComparison, NamesTheBudgetThatItWouldTakeAndMoreOfItDecides) {
  const PairedComparison few = compared(-0.004, 0.005, 24, 3);
  ASSERT_EQ(few.verdict(), ComparisonVerdict::kUndecided);
  ASSERT_TRUE(few.more_budget());
  EXPECT_GT(*few.more_budget(), 1);
  EXPECT_EQ(compared(-0.004, 0.005, 400, 3).verdict(), ComparisonVerdict::kBetter);
}

// Nothing is claimed of changes that do nothing more often than alpha, however often one looks.
TEST(PairedComparison, OfNothingIsSeldomDecided) {
  int decided = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) decided += compared(0, 0.01, 40, seed).decided() ? 1 : 0;
  EXPECT_LE(decided, 17);  // at 5% an 18th has probability 1.3%
}

}  // namespace
}  // namespace flywheel::evidence
