#include "campaign/ladder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "campaign/throughput.h"
#include "campaign/tuning.h"
#include "evidence/noise.h"
#include "testing/engine_workload.h"

namespace flywheel::campaign {
namespace {

Throughput machine(double flops_per_second) {
  Throughput throughput;
  for (double parameters : {1e4, 1e5, 1e6})
    throughput.add(parameters, flops_per_second, 1 + Throughput::kStartupSeconds);
  return throughput;
}

const testing::EngineWorkload kWorkload;
const workload::ConfigurationPtr kConfiguration = workload::make_configuration(recipe::Recipe{});

LadderPlan planned(const LadderLimits& limits) {
  return plan_ladder(kWorkload, *kConfiguration, machine(40e9), limits);
}
std::vector<workload::SizedRun> runs_at(double flops, int count, double max_tokens) {
  return kWorkload.isoflop_runs(*kConfiguration, flops, kWorkload.prior_parameters(*kConfiguration, flops), count,
                                max_tokens);
}

TEST(Throughput, RunsShorterThanAStartStillSaySomething) {
  Throughput throughput;
  throughput.add(1e4, 1e9, 0.5 * Throughput::kStartupSeconds);
  ASSERT_FALSE(throughput.empty());
  EXPECT_GT(throughput.flops_per_second(1e4), 1e9 / Throughput::kStartupSeconds);
  for (int i = 0; i < 3; ++i) throughput.add(1e4, 4e10, 4 + Throughput::kStartupSeconds);
  EXPECT_NEAR(throughput.flops_per_second(1e4) / 1e10, 1, 0.5);  // longer ones outweigh it
}

TEST(Throughput, RecoversAPowerLawBetweenTheSizesSeen) {
  Throughput throughput;
  const auto rate = [](double parameters) { return 1e9 * std::pow(parameters / 1e4, 0.3); };
  for (double parameters = 1e4; parameters < 2e6; parameters *= 3)
    throughput.add(parameters, 4 * rate(parameters), 4 + Throughput::kStartupSeconds);
  for (double parameters : {2e4, 1e5, 8e5})
    EXPECT_NEAR(throughput.flops_per_second(parameters) / rate(parameters), 1, 0.1);
  EXPECT_NEAR(throughput.flops_per_second(1e9) / throughput.flops_per_second(1e8), 1, 1e-9);
}

TEST(Ladder, FitsItsBudgetAndUsesMostOfIt) {
  for (double wall : {120.0, 560.0, 3000.0}) {
    const LadderLimits limits{.wall_seconds = wall, .flops = 0, .slots = 2, .max_tokens = 1e9, .eval_tokens = 65536};
    const LadderPlan plan = planned(limits);
    EXPECT_LE(plan.expected_wall_seconds, wall);
    EXPECT_GE(plan.expected_wall_seconds, 0.9 * wall);
    EXPECT_GE(plan.rungs.size(), 4u);
    EXPECT_GE(plan.rungs.back() / plan.rungs.front(), 30);
    EXPECT_TRUE(plan.limits.empty());
  }
}

TEST(Ladder, FlopBudgetIsHeld) {
  const LadderLimits limits{.wall_seconds = 0, .flops = 1e13, .slots = 2, .max_tokens = 1e9, .eval_tokens = 65536};
  const LadderPlan plan = planned(limits);
  EXPECT_LE(plan.expected_flops, 1e13);
  EXPECT_GE(plan.expected_flops, 0.9e13);
}

TEST(Ladder, TooSmallABudgetIsRefusedWithWhatIsNeeded) {
  const LadderLimits limits{.wall_seconds = 2, .flops = 0, .slots = 1, .max_tokens = 1e9, .eval_tokens = 65536};
  try {
    planned(limits);
    FAIL() << "a two-second ladder was planned";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("too small"), std::string::npos);
  }
}

TEST(Ladder, SmallCorpusLimitsTheTopRungAndSaysSo) {
  LadderLimits limits{.wall_seconds = 3000, .flops = 0, .slots = 2, .max_tokens = 2e6, .eval_tokens = 65536};
  const LadderPlan plan = planned(limits);
  ASSERT_FALSE(plan.limits.empty());
  EXPECT_NE(plan.limits[0].find("corpus"), std::string::npos);
  for (double flops : plan.rungs)
    for (const workload::SizedRun& run : runs_at(flops, 5, limits.max_tokens))
      EXPECT_LE(run.tokens, 1.01 * limits.max_tokens);
  limits.max_tokens = 1000;
  EXPECT_THROW(planned(limits), Error);
}

TEST(Ladder, IsoflopRunsDifferInSizeAndCostTheSame) {
  for (double flops : {2e10, 1e12, 5e14}) {
    const auto runs = runs_at(flops, 6, 0);
    ASSERT_EQ(runs.size(), 6u);
    for (size_t i = 0; i < runs.size(); ++i) {
      EXPECT_NEAR(runs[i].flops / flops, 1, 0.02);
      if (i > 0) {
        EXPECT_GT(runs[i].parameters, 1.04 * runs[i - 1].parameters);
      }
    }
  }
}

TEST(Ladder, SizesRecurFromRungToRungAndMostRunsBranch) {
  for (double lowest : {1e10, 1e13, 1e16}) {
    std::vector<workload::SizedRun> below;
    double whole = 0, branched = 0;
    int runs_above = 0, with_trunk = 0;
    for (double flops = lowest; flops < 40 * lowest; flops *= 1.82) {
      std::vector<workload::SizedRun> runs = runs_at(flops, 4, 0);
      for (const workload::SizedRun& run : runs) whole += run.flops;
      branch_off(kWorkload, *kConfiguration, runs, below);
      for (const workload::SizedRun& run : runs) {
        branched += run.new_flops;
        if (below.empty()) continue;
        ++runs_above;
        with_trunk += run.new_flops < run.flops;
        EXPECT_NEAR(run.flops / flops, 1, 0.02);
      }
      below.insert(below.end(), runs.begin(), runs.end());
    }
    // Six rungs of four sizes: one new size on most of them. A link saves 0.6 / 1.82 of its run.
    EXPECT_GE(with_trunk, 0.7 * runs_above);
    EXPECT_LT(branched / whole, 0.8);
    RecordProperty("saved", std::to_string(1 - branched / whole));
  }
}

TEST(Ladder, BranchingBuysAHigherTopRungForTheSameBudget) {
  LadderLimits limits{.wall_seconds = 600, .flops = 0, .slots = 2, .max_tokens = 1e9, .eval_tokens = 65536};
  const LadderPlan branching = planned(limits);
  limits.branching = false;
  const LadderPlan full = planned(limits);
  EXPECT_GT(branching.rungs.back(), 1.15 * full.rungs.back());
  EXPECT_LE(branching.expected_wall_seconds, 600);
}

TEST(Tuning, FindsTheMinimumOfAParabolaInLogRate) {
  std::vector<SweepPoint> points;
  for (double m : {0.25, 0.5, 1.0, 2.0, 4.0}) points.push_back({m, 2.0 + 0.1 * std::pow(std::log(m / 1.3), 2)});
  EXPECT_NEAR(choose_multiplier(points).multiplier, 1.3, 1e-6);
}

TEST(Tuning, DivergedRunsAreNotChosenAndEdgesAreReported) {
  const SweepChoice choice = choose_multiplier({{1, 2.0}, {2, 1.9}, {4, std::nullopt}});
  EXPECT_EQ(choice.best_sampled, 2);
  EXPECT_TRUE(choice.at_high_edge);
  EXPECT_THROW(choose_multiplier({{1, std::nullopt}}), Error);
}

TEST(Tuning, TransferHoldsWithinTheNoiseOnly) {
  const std::vector<SweepPoint> upper{{0.5, 1.90}, {1, 1.91}, {2, 2.0}};
  EXPECT_TRUE(check_transfer(1, upper, 0.01).holds);
  const TransferVerdict verdict = check_transfer(1, upper, 0.001);
  EXPECT_FALSE(verdict.holds);
  EXPECT_NEAR(verdict.multiplier, std::sqrt(0.5), 1e-9);
}

TEST(Noise, PooledDeviationIsUnbiasedAndItsIntervalCovers) {
  Rng rng(11);
  int covered = 0;
  double variance = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<std::vector<double>> groups(2);
    for (auto& group : groups)
      for (int i = 0; i < 4; ++i) group.push_back(1.5 + 0.02 * rng.normal() + (&group == &groups[0] ? 0.0 : 0.3));
    const evidence::NoiseFloor floor = evidence::noise_floor(1e10, groups);
    EXPECT_EQ(floor.replicates, 8);
    variance += floor.bits_per_byte_sd * floor.bits_per_byte_sd / kTrials;
    covered += floor.low <= 0.02 && 0.02 <= floor.high;
  }
  EXPECT_NEAR(std::sqrt(variance), 0.02, 0.0005);
  // Binomial deviation of the coverage is 0.7%; three of them.
  EXPECT_NEAR(covered / static_cast<double>(kTrials), 0.90, 0.021);
}

TEST(Noise, IntervalOfTwoReplicatesIsTheExactOne) {
  const evidence::NoiseFloor floor = evidence::noise_floor(1e10, {{1.0, 1.02}});
  EXPECT_NEAR(floor.bits_per_byte_sd, 0.02 / std::sqrt(2.0), 1e-12);
  // Chi squared with one degree of freedom: 5% lie below 0.00393, 95% below 3.841.
  EXPECT_NEAR(floor.low / floor.bits_per_byte_sd, 0.5102, 1e-4);
  EXPECT_NEAR(floor.high / floor.bits_per_byte_sd, 15.947, 1e-3);
}

TEST(Noise, GroupsOfOneSayNothing) {
  EXPECT_EQ(evidence::noise_floor(1e10, {{1.0}, {2.0}}).replicates, 0);
}

}  // namespace
}  // namespace flywheel::campaign
