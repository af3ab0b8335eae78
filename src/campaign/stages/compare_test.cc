// `flywheel compare` on made-up runs whose true difference is known.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "base/rng.h"
#include "campaign/campaign.h"
#include "evidence/paired_runs.h"
#include "testing/engine_workload.h"
#include "testing/fake_clock.h"
#include "testing/fake_engine.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

using protocol::ComparisonVerdict;

recipe::Recipe changed_recipe() {
  recipe::Recipe recipe;
  recipe.model.rope_base = 20000;
  return recipe;
}
recipe::Recipe diverging_recipe() {
  recipe::Recipe recipe;
  recipe.optimizer.momentum = 0.5;
  return recipe;
}

// The changed recipe's loss is lower by `gain`, and falls with compute by a slope of its own, `steeper` by a share; the
// diverging one has no loss.
struct ComparedLab {
  double gain = 0, noise_sd = 0.005, steeper = 0;
  flywheel::testing::TemporaryFolder folder;
  flywheel::testing::FakeClock clock;
  flywheel::testing::FakeEngine runner{clock};
  flywheel::testing::EngineWorkload workload;
  CampaignOptions options;
  std::unique_ptr<ledger::Ledger> ledger;

  ComparedLab() {
    runner.seconds_of = [](const recipe::RunSpec& spec) {
      return 0.08 + recipe::new_training_flops(spec.recipe, spec.size) / 40e9;
    };
    runner.bits_per_byte_of = [this](const recipe::RunSpec& spec) {
      const auto n = static_cast<double>(count(spec.recipe, spec.size).matrix_parameters);
      const auto d = static_cast<double>(spec.size.tokens());
      double loss = 0.9 + 40 / std::pow(n, 0.42) + 160 / std::pow(d, 0.42);
      if (spec.recipe.model.rope_base == 20000) loss = loss * (1 - steeper * (std::log(d) - 12)) - gain;
      Rng rng(spec.seed, spec.recipe.model.rope_base == 20000 ? 1 : 2);
      return spec.recipe.optimizer.momentum == 0.5 ? std::nan("") : loss + noise_sd * rng.normal();
    };
    options.lab = folder.path();
    options.budget.flops = 3e13;
    options.slots = 2;
    options.train_tokens = 100'000'000;
    options.search_tokens = 1'000'000;
  }
  ledger::ComparisonRecord compare(const recipe::Recipe& base, const recipe::Recipe& candidate,
                                   const CompareRules& rules = {}) {
    options.configuration = workload::make_configuration(base);
    ledger = ledger::Ledger::open(folder.path());
    Campaign campaign(*ledger, runner, workload, clock, options);
    return campaign.compare(workload::make_configuration(candidate), rules).value();
  }
};

TEST(CampaignCompare, SaysBetterWorseAndNoDifference) {
  for (const auto& [gain, verdict] :
       {std::pair{0.05, ComparisonVerdict::kBetter}, std::pair{-0.05, ComparisonVerdict::kWorse},
        std::pair{0.0, ComparisonVerdict::kNoDifference}}) {
    ComparedLab lab;
    lab.gain = gain;
    if (gain == 0) lab.noise_sd = 0.0025;  // so that the pairs of this budget exclude what is worth 5%
    const auto result = lab.compare({}, changed_recipe());
    EXPECT_EQ(result.verdict, verdict);
    EXPECT_EQ(result.rungs.size(), 2u);
    EXPECT_FALSE(result.more_budget);
    // The difference is of the verdict's level, 95%, what it is worth is of 90%: narrower than what the same slope
    // makes of the 95% interval.
    evidence::RungPairs pairs[2];
    for (size_t r = 0; r < 2; ++r) pairs[r].flops = result.rungs[r].flops;
    for (const auto& row : lab.ledger->runs())
      for (size_t r = 0; r < 2; ++r)
        if (row.run.ends_with("-base") && row.rung_flops == pairs[r].flops) {
          pairs[r].base.push_back(*row.bits_per_byte);
          const std::string other = row.run.substr(0, row.run.size() - 4) + "candidate";
          pairs[r].difference.push_back(*lab.ledger->run(other)->bits_per_byte - *row.bits_per_byte);
        }
    const evidence::Interval at95 =
        evidence::paired_effect(pairs, evidence::SlopeOf::kBothSides).multiplier_of(result.difference);
    EXPECT_NEAR(result.multiplier->value / at95.value, 1, 0.01);
    EXPECT_LT(result.multiplier->high / result.multiplier->low, 0.999 * at95.high / at95.low);
    EXPECT_EQ(result.bound.has_value(), verdict == ComparisonVerdict::kNoDifference);
    if (result.bound) {
      EXPECT_LE(result.bound_worth.value(), 0.05);
      EXPECT_GE(*result.bound, std::max(-result.rungs[0].difference.low, result.rungs[0].difference.high));
    }
    if (gain > 0) {
      EXPECT_LT(result.difference.high, 0);
      EXPECT_GT(result.multiplier->low, 1);
    }
  }
}

TEST(CampaignCompare, UndecidedItSaysWhatIsExcludedAndWhatItWouldTake) {
  ComparedLab lab;
  const auto result = lab.compare({}, changed_recipe(), {.smallest_effect = 1e-4});
  ASSERT_EQ(result.verdict, ComparisonVerdict::kUndecided);
  EXPECT_GT(result.bound.value(), 0);
  EXPECT_GT(result.bound_worth.value(), 1e-4);
  EXPECT_GT(result.more_budget.value(), 1);
  EXPECT_TRUE(std::isfinite(*result.more_budget));
  // More pairs are planned for smaller runs.
  ComparedLab more;
  const auto with_more = more.compare({}, changed_recipe(), {.planned_pairs = 24, .smallest_effect = 1e-4});
  EXPECT_NEAR(with_more.rungs[0].flops / result.rungs[0].flops, 0.5, 0.1);
  EXPECT_GT(with_more.rungs[0].pairs, 1.5 * result.rungs[0].pairs);
}

// A failed run is the worst rank of its side, whichever that is; even where the base cannot time the machine.
TEST(CampaignCompare, ASideWhoseRunsFailIsTheWorseOne) {
  ComparedLab worse, better, neither;
  const auto candidate_fails = worse.compare({}, diverging_recipe());
  EXPECT_EQ(candidate_fails.verdict, ComparisonVerdict::kWorse);
  EXPECT_EQ(candidate_fails.failed->candidate, 8);
  EXPECT_EQ(candidate_fails.failed->base, 0);
  EXPECT_NE(candidate_fails.why.value().find("the candidate's runs fail: "), std::string::npos);
  const auto base_fails = better.compare(diverging_recipe(), {});
  EXPECT_EQ(base_fails.verdict, ComparisonVerdict::kBetter);
  EXPECT_EQ(base_fails.failed->base, 8);
  EXPECT_NE(base_fails.why.value().find("the base's runs fail: "), std::string::npos);
  recipe::Recipe other = diverging_recipe();
  other.model.rope_base = 20000;
  const auto both_fail = neither.compare(diverging_recipe(), other);
  EXPECT_EQ(both_fail.verdict, ComparisonVerdict::kUndecided);
  EXPECT_EQ(both_fail.failed->base, both_fail.failed->candidate);
  EXPECT_NE(both_fail.why.value().find("the runs of both recipes fail"), std::string::npos);
}

TEST(CampaignCompare, WhatTheMachineFailsIsNobodysAndItsPairIsLeftOut) {
  ComparedLab lab;
  lab.gain = 0.05;
  using End = flywheel::testing::Script::End;
  for (const char* run : {"pair-0-base", "pair-3-candidate"})
    lab.runner.scripts[run] = {{.end = End::kFail, .reason = "disk: no space left"}};
  const auto result = lab.compare({}, changed_recipe());
  EXPECT_EQ(result.verdict, ComparisonVerdict::kBetter);
  EXPECT_EQ(result.failed->base + result.failed->candidate, 0);
  int finished = 0;
  for (const auto& row : lab.ledger->runs())
    finished += row.state == protocol::RunState::kDone && row.run.starts_with("pair-");
  EXPECT_EQ(finished, 2 * (result.rungs[0].pairs + result.rungs[1].pairs) + 2);
}

// Each recipe as the base of the other, with the same seeds: the worths are reciprocals, even where the recipes gain
// from compute differently.
TEST(CampaignCompare, SwappedRecipesSayTheSameTheOtherWayRound) {
  for (const double steeper : {0.0, 0.004}) {
    ComparedLab one, other;
    one.gain = other.gain = 0.05;
    one.steeper = other.steeper = steeper;
    const auto there = one.compare({}, changed_recipe()), back = other.compare(changed_recipe(), {});
    EXPECT_EQ(there.verdict, ComparisonVerdict::kBetter);
    EXPECT_EQ(back.verdict, ComparisonVerdict::kWorse);
    EXPECT_NEAR(there.multiplier->value * back.multiplier->value, 1, 0.01);
    EXPECT_NEAR(there.multiplier->low * back.multiplier->high, 1, 0.02);
    EXPECT_NEAR(there.multiplier->high * back.multiplier->low, 1, 0.02);
    for (size_t r = 0; r < 2; ++r)
      EXPECT_NEAR(there.rungs[r].multiplier.value * back.rungs[r].multiplier.value, 1, 0.01);
  }
}

}  // namespace
}  // namespace flywheel::campaign
