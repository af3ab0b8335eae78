// Other designs than the search: their p-values, their error rates, and the power that their parameters are chosen for.
#include "evidence/simulation/designs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace flywheel::evidence {
namespace {

constexpr Design kOthers[] = {Design::kRankSumBh, Design::kHalvingT, Design::kEBhRace};

SearchScore simulated(Design design, WorldKind kind, double effect, double gain, int campaigns, int threads = 2) {
  SearchWorld world;
  world.kind = kind;
  world.effect = effect;
  world.campaigns = campaigns;
  world.threads = threads;
  return simulate_design(world, design, design_parameters(design, gain));
}

TEST(RankSum, IsExactForSmallSamplesWithAndWithoutTies) {
  const std::vector<double> base{4, 5, 6};
  EXPECT_DOUBLE_EQ(rank_sum_p_value(std::vector<double>{1, 2}, base), 1.0 / 10);  // of the 10 pairs of ranks
  EXPECT_DOUBLE_EQ(rank_sum_p_value(std::vector<double>{1, 4.5}, base), 2.0 / 10);
  EXPECT_DOUBLE_EQ(rank_sum_p_value(std::vector<double>{7, 8}, base), 1);
  EXPECT_DOUBLE_EQ(rank_sum_p_value(std::vector<double>{1, 4}, base), 2.0 / 10);  // either 4 may be the candidate's
  EXPECT_DOUBLE_EQ(rank_sum_p_value(std::vector<double>{3, 3}, std::vector<double>{3, 3, 3}), 1);
}

TEST(RankSum, TheApproximationJoinsTheExactValues) {
  std::vector<double> candidate, more, base;
  for (int i = 0; i < 20; ++i) candidate.push_back(i - 6.5), base.push_back(i);
  more = candidate;
  more.push_back(3.25);  // one run more than is done exactly
  EXPECT_NEAR(rank_sum_p_value(candidate, base), rank_sum_p_value(more, base), 1e-3);
  EXPECT_LT(rank_sum_p_value(candidate, base), 0.01);
}

TEST(Welch, AgreesWithStudentForEqualGroups) {
  // Means 1 apart, variances 1 and 1 of 3 each: t = -1 / sqrt(2 / 3) with 4 degrees of freedom.
  const double t = 1 / std::sqrt(2.0 / 3), u = t / std::sqrt(4 + t * t);
  const double below = 0.5 - 0.75 * (u - u * u * u / 3);  // in closed form for 4 degrees
  EXPECT_NEAR(welch_p_value(std::vector<double>{0, 1, 2}, std::vector<double>{1, 2, 3}), below, 1e-12);
}

TEST(BenjaminiHochberg, StepsUpFromTheLargestThatFits) {
  // Of the fourth 0.05 * 4 / 5 = 0.04: it carries the third, which is above its own 0.03.
  const std::vector<double> p{0.001, 0.039, 0.5, 0.035, 0.012};
  EXPECT_EQ(benjamini_hochberg(p, 0.05), (std::vector<bool>{true, true, false, true, true}));
  EXPECT_EQ(benjamini_hochberg(std::vector<double>{0.03, 0.2}, 0.05), (std::vector<bool>{false, false}));
  const std::vector<double> e{std::log(20.0), std::log(21.0), -1};
  EXPECT_EQ(e_benjamini_hochberg(e, 0.1), (std::vector<bool>{true, true, false}));  // 3 / (0.1 * 2) = 15
  EXPECT_EQ(e_benjamini_hochberg(e, 0.05), (std::vector<bool>{false, false, false}));
}

TEST(Designs, ClaimLittleWhereNothingIsReal) {
  for (const Design design : kOthers)
    for (const double gain : {1.0, 2.0, 3.0}) {
      const SearchScore score = simulated(design, WorldKind::kPlain, 0, gain, gain > 1 ? 60 : 10);
      EXPECT_LE(score.with_false_findings, 7) << protocol::name(design) << gain;  // at 5% more has probability 1%
      EXPECT_GT(score.false_keeps, 1);
      EXPECT_GT(score.tests, 0);
    }
}

TEST(Designs, HaveThePowerThatTheirParametersAreChosenFor) {
  for (const Design design : kOthers)
    for (const double gain : {1.0, 2.0, 3.0}) {
      const SearchScore score = simulated(design, WorldKind::kPlain, gain, gain, gain > 1 ? 200 : 30);
      EXPECT_NEAR(score.found_fraction, 0.9, gain > 1 ? 0.03 : 0.06) << protocol::name(design) << gain;
      EXPECT_LE(score.false_discovery_rate, 0.05) << protocol::name(design) << gain;
      EXPECT_NEAR(score.runs, score.screenings + score.pool + score.confirmations, 1e-9);
      EXPECT_EQ(score.endurance, 0);
    }
}

TEST(Designs, WithoutEnduranceTheyTakeWhatIsRuinous) {
  for (const Design design : kOthers) {
    const SearchScore score = simulated(design, WorldKind::kDisasters, 3, 3, 30);
    EXPECT_GT(score.false_discovery_rate, 0.1) << protocol::name(design);
    EXPECT_LE(simulated(design, WorldKind::kHarmAbove, 3, 3, 30).false_discovery_rate, 0.05) << protocol::name(design);
  }
}

TEST(Designs, DoNotDependOnTheThreads) {
  for (const Design design : kOthers) {
    const SearchScore one = simulated(design, WorldKind::kDisasters, 2, 2, 8, 1);
    const SearchScore three = simulated(design, WorldKind::kDisasters, 2, 2, 8, 3);
    EXPECT_EQ(one.runs, three.runs);
    EXPECT_EQ(one.found_fraction, three.found_fraction);
    EXPECT_EQ(one.reported_effect, three.reported_effect);
  }
}

}  // namespace
}  // namespace flywheel::evidence
