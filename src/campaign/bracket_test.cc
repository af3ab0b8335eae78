#include "campaign/bracket.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flywheel::campaign {
namespace {

// A rung whose loss is a parabola of ln N about `best`.
RungMinimum rung(double flops, double best, bool inner) {
  RungMinimum rung;
  rung.rung_flops = flops;
  rung.is_inner = inner;
  for (const double size : {1e4, 2e4, 4e4}) {
    const double off = std::log(size / best);
    rung.points.push_back({.N = size, .D = flops / (6 * size), .L = 2 * std::exp(0.05 * off * off), .C = flops});
  }
  return rung;
}

TEST(Bracket, TheSideOfTheMinimumIsThatOfTheBetterEnd) {
  EXPECT_EQ(side_of_minimum(rung(1e10, 2e4, true)), Side::kInner);
  EXPECT_EQ(side_of_minimum(rung(1e10, 5e3, false)), Side::kSmaller);
  EXPECT_EQ(side_of_minimum(rung(1e10, 9e4, false)), Side::kLarger);
}

TEST(Bracket, TheComputeOfAnInnerMinimumIsWhereTheSecondSizeDrawsEven) {
  // The best size grows as C^0.5; sizes 1e4 and 2e4 are even where it is their geometric mean, at C = 8e10.
  const auto best = [](double flops) { return std::sqrt(2e8) * std::sqrt(flops / 8e10); };
  const auto at = compute_of_inner_minimum(std::vector{rung(1e10, best(1e10), false), rung(2e10, best(2e10), false)});
  ASSERT_TRUE(at);
  EXPECT_NEAR(*at / 8e10, 1, 1e-9);
  EXPECT_FALSE(compute_of_inner_minimum(std::vector{rung(1e10, 5e3, false)}));
  EXPECT_FALSE(compute_of_inner_minimum(std::vector{rung(1e10, 5e3, false), rung(2e10, 4e3, false)}));
}

TEST(Bracket, RungsBelowAreLeftOutButForTheTwoHighest) {
  const std::vector<double> rungs = {1, 2, 4, 8, 16, 32, 64};
  EXPECT_EQ(without_rungs_below(rungs, 1, 10), (std::vector<double>{1, 2, 16, 32, 64}));
  EXPECT_EQ(without_rungs_below(rungs, 1, 1000), (std::vector<double>{1, 2, 32, 64}));
  EXPECT_EQ(without_rungs_below(rungs, 1, 3), rungs);
  EXPECT_EQ(without_rungs_below(rungs, 5, 1000), rungs);
  EXPECT_EQ(without_rungs_below(rungs, 6, 1000), rungs);
}

}  // namespace
}  // namespace flywheel::campaign
