#include "evidence/paired_comparison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

using Failed = PairedComparison::Failed;

// Adds pairs in turn on both rungs until it is decided, or `most`.
PairedComparison compared(double difference, double noise_sd, int most, uint64_t seed = 1,
                          const ComparisonOptions& options = {}) {
  PairedComparison comparison(1e10, 4e10, options);
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
  EXPECT_EQ(worse.verdict(), ComparisonVerdict::kWorse);
  EXPECT_GT(worse.difference(worse.level()).low, 0);
  EXPECT_EQ(compared(0, 0.02, 24).verdict(), ComparisonVerdict::kUndecided);
}

// Five percent of compute are a difference of about 0.012 bits per byte on these rungs.
TEST(PairedComparison, SaysThatThereIsNoDifferenceAndNoneLargerThanWhat) {
  const PairedComparison same = compared(0.0005, 0.002, 60);
  ASSERT_EQ(same.verdict(), ComparisonVerdict::kNoDifference);
  EXPECT_LT(same.pairs(), 60);
  const PairedComparison::Bound bound = same.bound();
  EXPECT_LE(bound.worth, 0.05);
  EXPECT_GT(bound.bits_per_byte, 0.0005);
  EXPECT_LT(bound.bits_per_byte, 0.0125);
  EXPECT_FALSE(bound.usual_slope);
  // A smaller effect of interest takes more pairs.
  EXPECT_EQ(compared(0.0005, 0.002, same.pairs(), 1, {.smallest_effect = 0.01}).verdict(),
            ComparisonVerdict::kUndecided);
}

TEST(PairedComparison, UndecidedExcludesWhatLiesOutsideItsIntervals) {
  const PairedComparison undecided = compared(0, 0.02, 24);
  ASSERT_EQ(undecided.verdict(), ComparisonVerdict::kUndecided);
  const PairedComparison::Bound bound = undecided.bound();
  EXPECT_TRUE(std::isfinite(bound.bits_per_byte));
  EXPECT_GT(bound.worth, 0.05);
  // The sampling of documents adds to it, and an error that cannot be told does not hide what the seeds say.
  const auto with = [&](const ClusterError& error) {
    return undecided.bound([&](size_t) { return std::optional(error); }).bits_per_byte;
  };
  EXPECT_GT(with({.sd = 0.02}), bound.bits_per_byte);
  EXPECT_EQ(with({.sd = 0.02, .degrees = 0}), bound.bits_per_byte);
  EXPECT_TRUE(std::isinf(compared(0, 0.01, 8).bound().bits_per_byte));
}

TEST(PairedComparison, DocumentsThatLeaveADifferenceOpenKeepItUndecided) {
  PairedComparison comparison(1e10, 4e10);
  Rng rng(1);
  int asked = 0;
  for (int i = 0; i < 60 && !comparison.decided(); ++i) {
    const double base = (i % 2 == 0 ? 3.0 : 2.7) + 0.002 * rng.normal();
    comparison.add(static_cast<size_t>(i % 2), base, base + 0.002 * rng.normal());
    comparison.look([&](size_t) {
      ++asked;
      return std::optional(ClusterError{.sd = 0.05});
    });
  }
  EXPECT_GT(asked, 0);
  EXPECT_EQ(comparison.verdict(), ComparisonVerdict::kUndecided);
}

TEST(PairedComparison, LooksOnlyOnceBothRungsHavePairs) {
  PairedComparison comparison(1e10, 4e10);
  for (int i = 0; i < 8; ++i) {
    comparison.add(0, 3, 2.9);
    EXPECT_FALSE(comparison.look());
  }
  EXPECT_FALSE(comparison.tested());
  for (int i = 0; i < 7; ++i) {
    EXPECT_FALSE(comparison.decided());
    comparison.add(1, 2.7, 2.6);
    EXPECT_TRUE(comparison.look());
  }
  EXPECT_EQ(comparison.verdict(), ComparisonVerdict::kBetter);
  EXPECT_EQ(comparison.pairs(), 15);
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

TEST(PairedComparison, ASideWhoseRunsKeepFailingIsTheWorseOne) {
  for (const auto& [failed, verdict, why] :
       {std::tuple{Failed::kCandidate, ComparisonVerdict::kWorse, "the candidate's runs fail: diverged"},
        std::tuple{Failed::kBase, ComparisonVerdict::kBetter, "the base's runs fail: diverged"}}) {
    PairedComparison comparison(1e10, 4e10);
    for (int i = 0; i < 8; ++i) {
      EXPECT_FALSE(comparison.decided()) << i;
      comparison.add_failure(static_cast<size_t>(i % 2), failed, "diverged");
      comparison.look();
    }
    EXPECT_EQ(comparison.verdict(), verdict);
    EXPECT_EQ(comparison.why(), why);
    EXPECT_EQ(comparison.failed().base + comparison.failed().candidate, 8);
  }
}

// Twelve pairs in which a side wins decide; with two of them won by a failure they do too, and with two lost they
// don't.
TEST(PairedComparison, AFailureCountsInFullForTheOtherSide) {
  const auto verdict_with = [](Failed failed) {
    PairedComparison comparison(1e10, 4e10);
    for (int i = 0; i < 14; ++i) {
      if (i < 4)
        comparison.add_failure(static_cast<size_t>(i % 2), failed, "diverged");
      else
        comparison.add(static_cast<size_t>(i % 2), 3, 2.9);
      comparison.look();
    }
    return comparison.verdict();
  };
  EXPECT_EQ(verdict_with(Failed::kBase), ComparisonVerdict::kBetter);
  EXPECT_EQ(verdict_with(Failed::kCandidate), ComparisonVerdict::kUndecided);
  EXPECT_EQ(verdict_with(Failed::kBoth), ComparisonVerdict::kUndecided);
}

// Both sides diverge in one of five runs: that makes neither the worse one.
TEST(PairedComparison, FailuresOfBothSidesDecideNothing) {
  int decided = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    PairedComparison comparison(1e10, 4e10);
    Rng rng(seed);
    for (int i = 0; i < 40 && !comparison.decided(); ++i) {
      const bool base = rng.uniform() < 0.2, candidate = rng.uniform() < 0.2;
      const auto rung = static_cast<size_t>(i % 2);
      if (base || candidate)
        comparison.add_failure(rung, base && candidate ? Failed::kBoth : base ? Failed::kBase : Failed::kCandidate, "");
      else
        comparison.add(rung, 3, 3 + 0.05 * rng.normal());
      comparison.look();
    }
    decided += comparison.decided();
  }
  EXPECT_LE(decided, 15);
}

TEST(PairedComparison, WhatFailsNowAndThenIsCountedAndNotCalledTheSame) {
  PairedComparison comparison(1e10, 4e10);
  Rng rng(2);
  for (int i = 0; i < 40; ++i) {
    const auto rung = static_cast<size_t>(i % 2);
    const double base = (i % 2 == 0 ? 3.0 : 2.7) + 0.002 * rng.normal();
    if (i == 7)
      comparison.add_failure(rung, Failed::kCandidate, "diverged: loss is nan");
    else
      comparison.add(rung, base, base + (i == 10 ? 1 : 0.001 * rng.normal()));
    comparison.look();
  }
  EXPECT_EQ(comparison.verdict(), ComparisonVerdict::kUndecided);
  EXPECT_EQ(comparison.failed().candidate, 1);
  EXPECT_EQ(comparison.ruined().candidate, 1);
  EXPECT_EQ(comparison.ruined().base, 0);
  EXPECT_LE(comparison.bound().worth, 0.05);
}

TEST(PairedComparison, AlwaysNamesTheBudgetThatItWouldTake) {
  const ComparisonOptions small{.smallest_effect = 0.001};
  const PairedComparison gain = compared(-0.004, 0.005, 24, 3, small);
  ASSERT_EQ(gain.verdict(), ComparisonVerdict::kUndecided);
  const PairedComparison::MoreBudget more = gain.more_budget();
  EXPECT_GT(more.times, 1);
  EXPECT_EQ(compared(-0.004, 0.005, 400, 3, small).verdict(), ComparisonVerdict::kBetter);
  // What does nothing is expected to be no difference, sooner or later.
  const PairedComparison nothing = compared(0, 0.01, 24);
  ASSERT_EQ(nothing.verdict(), ComparisonVerdict::kUndecided);
  EXPECT_LT(nothing.more_budget().times, 30);
  EXPECT_EQ(nothing.more_budget().expected, ComparisonVerdict::kNoDifference);
  // Rungs that contradict each other are not decided by any number of pairs.
  PairedComparison apart(1e10, 4e10);
  Rng rng(1);
  for (int i = 0; i < 24; ++i)
    apart.add(static_cast<size_t>(i % 2), 3, 3 + (i % 2 == 0 ? 1 : -1) + 0.01 * rng.normal());
  EXPECT_EQ(apart.more_budget().times, PairedComparison::kMostTimes);
  EXPECT_EQ(apart.more_budget().expected, ComparisonVerdict::kUndecided);
  PairedComparison one(1e10, 4e10);
  one.add(0, 3, 3);
  EXPECT_EQ(one.more_budget().times, 24);
}

}  // namespace
}  // namespace flywheel::evidence
