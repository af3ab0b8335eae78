// The search in named worlds: what it finds, what it claims falsely, and for how many runs.
#include "evidence/simulation/simulate_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

SearchScore simulated(WorldKind kind, double effect, int campaigns, double worth) {
  SearchWorld world;
  world.kind = kind;
  world.effect = effect;
  world.campaigns = campaigns;
  world.gain_runs = worth;
  world.threads = 2;
  return simulate_search(world);
}

TEST(SimulatedSearch, FalseFindingsAreRareForNormalHeavyAndSkewedNoise) {
  Rng rng(9);
  std::vector<double> normal, skewed;
  for (int i = 0; i < 400; ++i) normal.push_back(rng.normal()), skewed.push_back(std::exp(rng.normal()));
  for (const std::vector<double>& noise : {normal, skewed, std::vector<double>{}}) {
    SearchWorld world;
    world.campaigns = 40;
    world.proposals = 25;
    world.noise = noise;
    const SearchScore score = simulate_search(world);
    EXPECT_LE(score.with_false_findings, 5);  // at 5% a sixth has probability 1.4%
    EXPECT_GT(score.false_keeps, 1);          // keep if lower, in the same worlds
  }
}

TEST(SimulatedSearch, FindsNineOfTenForTheRunsThatAreAllowed) {
  for (const auto& [effect, worth, most] : {std::tuple{2.0, SearchWorld{}.gain_runs, 260.0}, {3.0, 25.0, 150.0}}) {
    const SearchScore score = simulated(WorldKind::kPlain, effect, 20, worth);
    EXPECT_GE(score.found_fraction, 0.85) << effect;
    EXPECT_LE(score.runs, most) << effect;
    EXPECT_NEAR(score.reported_effect / score.true_effect, 1, 0.1);  // no winner's curse
    EXPECT_GE(score.reported_covers, 0.8);
    EXPECT_EQ(score.with_false_findings, 0);
  }
}

TEST(SimulatedSearch, ClaimsSurviveTheWorldsThatAreHard) {
  for (const WorldKind kind : {WorldKind::kVanishes, WorldKind::kHarmAbove, WorldKind::kAuditBias,
                               WorldKind::kDisasters, WorldKind::kLopsided}) {
    const SearchScore score = simulated(kind, 3, 12, 30);
    EXPECT_LE(score.false_discovery_rate, 0.06) << protocol::name(kind);
    EXPECT_GE(score.found_fraction, 0.5) << protocol::name(kind);
  }
}

TEST(SimulatedSearch, ItsOptionsAreThoseOfCampaigns) {
  const PolicyOptions simulated = SearchWorld{}.policy, campaign = campaign_policy();
  EXPECT_EQ(simulated.alpha, campaign.alpha);
  EXPECT_EQ(simulated.base_runs, campaign.base_runs);
  EXPECT_EQ(simulated.run_costs, campaign.run_costs);
  EXPECT_EQ(simulated.screen_cost, campaign.screen_cost);
  EXPECT_EQ(simulated.most_runs, campaign.most_runs);
  EXPECT_EQ(simulated.most_screens, campaign.most_screens);
  EXPECT_EQ(simulated.endurance, campaign.endurance);
  EXPECT_DOUBLE_EQ(campaign.run_costs[0] + campaign.run_costs[1], 2);
  EXPECT_DOUBLE_EQ(campaign.run_costs[1] / campaign.screen_cost, kScreenBelow);
}

TEST(SimulatedSearch, DoesNotDependOnTheThreads) {
  SearchWorld world;
  world.campaigns = 8;
  world.proposals = 20;
  world.effect = 3;
  const SearchScore one = simulate_search(world);
  world.threads = 3;
  const SearchScore three = simulate_search(world);
  EXPECT_EQ(one.runs, three.runs);
  EXPECT_EQ(one.found_fraction, three.found_fraction);
}

TEST(FixedDesign, HasThePowerItIsSizedFor) {
  const FixedDesign one = one_stage_design(100, 2, 0.05, 0.9);
  EXPECT_EQ(one.screen, 11);  // 2 (3.29 + 1.28)^2 / 4
  const FixedDesign two = two_stage_design(100, 10, 2, 0.05, 0.9);
  EXPECT_LT(two.runs, one.runs);
}

}  // namespace
}  // namespace flywheel::evidence
