#include "evidence/simulation/simulate_compare.h"

#include <gtest/gtest.h>

namespace flywheel::evidence {
namespace {

TEST(SimulateCompare, VerdictsAreSeldomWrongAndTheBudgetAskedForIsAboutTheOneNeeded) {
  ComparisonWorld nothing{.comparisons = 150};
  const ComparisonScore score = simulate_comparisons(nothing);
  EXPECT_LE(score.better + score.worse, 12);  // more than 5% at a thousandth
  EXPECT_GT(score.followed, 100);
  EXPECT_EQ(score.followed_decided, score.followed);
  EXPECT_GT(score.as_expected, 0.9 * score.followed);
  EXPECT_GT(score.forecast_over_actual[1], 0.7);
  EXPECT_LT(score.forecast_over_actual[1], 2);
}

// On the edge of the region on one rung: "no difference" would be wrong.
TEST(SimulateCompare, AnEffectOnTheEdgeIsSeldomCalledNoDifference) {
  ComparisonWorld edge{.comparisons = 150, .pairs = 20, .effect = {0, 0.05}, .noise = 0.4, .most_times = 0};
  const ComparisonScore score = simulate_comparisons(edge);
  EXPECT_LE(score.no_difference, 14);
  EXPECT_EQ(score.comparisons, 150);
}

}  // namespace
}  // namespace flywheel::evidence
