// Evidence by ranks: exact under exchangeability, safe for worse candidates and for any noise, and what it takes.
#include "evidence/rank_evidence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

double e_value(const std::vector<double>& base, const std::vector<double>& candidate, double expected = 0) {
  RankTest test(base, expected);
  for (const double loss : candidate) test.add(loss);
  return std::exp(test.log_e_better());
}

// Under exchangeability all orders are equally likely: the mean over all of them must be 1, to rounding.
TEST(RankTest, TheMeanOverAllOrdersIsOneForAnyNumberOfRuns) {
  for (const double expected : {0.0, 0.7, 3.0})
    for (const auto& [pool, own] : {std::pair{2, 1}, {3, 2}, {4, 3}, {2, 5}, {1, 4}}) {
      std::vector<double> order(static_cast<size_t>(pool + own));
      std::iota(order.begin(), order.end(), 1.0);
      double sum = 0;
      int count = 0;
      do {
        sum += e_value({order.begin(), order.begin() + pool}, {order.begin() + pool, order.end()}, expected);
        ++count;
      } while (std::next_permutation(order.begin(), order.end()));
      EXPECT_NEAR(sum / count, 1, 1e-9) << pool << " " << own << " " << expected;
    }
}

// A candidate that is worse, run by run, by any map that keeps the order of its own runs.
TEST(RankTest, AWorseCandidateNeverHasMoreEvidence) {
  Rng rng(3);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> base, candidate;
    for (int i = 0; i < 6; ++i) base.push_back(rng.normal());
    for (int i = 0; i < 5; ++i) candidate.push_back(rng.normal() - 1);
    std::vector<double> worse = candidate;
    const double shift = rng.uniform(), stretch = rng.uniform();
    for (double& loss : worse) loss += shift + stretch * std::max(0.0, loss);
    EXPECT_LE(e_value(base, worse), e_value(base, candidate) * (1 + 1e-12));
  }
}

TEST(RankTest, OnlyTheOrderCounts) {
  const std::vector<double> base = {1, 2, 3, 4, 5}, candidate = {0.5, 0.2, 2.5};
  std::vector<double> base2, candidate2;
  for (const double x : base) base2.push_back(std::exp(3 * x) + 7);
  for (const double x : candidate) candidate2.push_back(std::exp(3 * x) + 7);
  EXPECT_DOUBLE_EQ(e_value(base, candidate), e_value(base2, candidate2));
}

TEST(RankTest, TiesAndFailuresCountAgainstTheCandidate) {
  EXPECT_DOUBLE_EQ(e_value({1, 1, 1}, {1}), e_value({1, 2, 3}, {4}));
  EXPECT_DOUBLE_EQ(e_value({1, 2, INFINITY}, {INFINITY}), e_value({1, 2, 3}, {4}));
  EXPECT_GT(e_value({INFINITY, INFINITY, INFINITY}, {1, 2}), 1);
  RankTest test({1.0, 1.1, 0.9, 1.05});
  test.add(0.5), test.add(INFINITY), test.add(0.4);
  EXPECT_EQ(test.ruined(), 1);
  EXPECT_EQ(test.base_ruined(), 0);
}

// Whenever one stops, also when the pool happens to be a bad one: the largest evidence of a long test.
TEST(RankTest, EvidenceOfNothingReachesALevelAsRarelyAsIsAllowed) {
  const std::vector<std::pair<const char*, std::function<double(Rng&)>>> noises = {
      {"normal", [](Rng& rng) { return rng.normal(); }},
      {"skewed", [](Rng& rng) { return std::exp(1.5 * rng.normal()); }},
      {"ruined now and then", [](Rng& rng) { return rng.uniform() < 0.05 ? 30.0 : rng.normal(); }}};
  for (const auto& [what, noise] : noises) {
    Rng rng(17);
    constexpr int kTests = 2000;
    int crossed = 0;
    for (int t = 0; t < kTests; ++t) {
      std::vector<double> base;
      for (int i = 0; i < 10; ++i) base.push_back(noise(rng));
      RankTest test(base, 2);
      bool reached = false;
      for (int i = 0; i < 40; ++i) {
        test.add(noise(rng));
        reached = reached || test.log_e_better() >= std::log(20);
      }
      crossed += reached;
    }
    EXPECT_LE(crossed, 0.05 * kTests + 3 * std::sqrt(0.05 * 0.95 * kTests)) << what;
    EXPECT_GT(crossed, 0) << what;
  }
}

TEST(RankTest, ALargeGainTakesThreeRunsAndASmallOneIsFound) {
  Rng rng(5);
  for (const auto& [gain, runs, share] : {std::tuple{4.0, 3, 0.9}, {2.0, 12, 0.85}, {1.0, 40, 0.8}}) {
    int found = 0;
    for (int t = 0; t < 200; ++t) {
      std::vector<double> base, candidate;
      for (int i = 0; i < (gain < 2 ? 40 : 12); ++i) base.push_back(rng.normal());
      for (int i = 0; i < runs; ++i) candidate.push_back(rng.normal() - gain);
      found += e_value(base, candidate, gain) >= 30;
    }
    EXPECT_GE(found, share * 200) << gain;
  }
}

TEST(FarAbove, CountsTheRunsOfAHarmThatIsNeitherRareNorLarge) {
  Rng rng(3, 1);
  std::vector<double> losses, harmed;
  for (int i = 0; i < 60; ++i) {
    losses.push_back(rng.normal());
    harmed.push_back(losses.back() + (i % 2 == 0 ? 9 : 0));  // half of the runs
  }
  EXPECT_LE(far_above(losses), 1);
  EXPECT_GE(far_above(harmed), 28);
  losses.push_back(INFINITY);
  EXPECT_GE(far_above(losses), 1);
}

TEST(RungTests, TheWeakestRungCounts) {
  RungTests tests({RankTest({1, 2, 3, 4, 5, 6, 7, 8}), RankTest({1, 2, 3, 4, 5, 6, 7, 8})});
  for (int i = 0; i < 4; ++i) tests.add(0, 0.5), tests.add(1, 4.5);
  EXPECT_GT(tests.rungs()[0].log_e_better(), std::log(20));
  EXPECT_EQ(tests.log_e_better(), tests.rungs()[1].log_e_better());
  EXPECT_LT(tests.log_e_better(), 0);
  EXPECT_EQ(tests.runs(), 8);
  EXPECT_EQ(tests.fewest(), 4);
}

}  // namespace
}  // namespace flywheel::evidence
