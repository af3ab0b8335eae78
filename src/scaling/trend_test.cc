#include "scaling/trend.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flywheel::scaling {
namespace {

// Seven levels of four sizes; the loss of the best size is `frontier` of C.
template <typename F>
std::vector<Point> ladder(F frontier) {
  std::vector<Point> points;
  for (int rung = 0; rung < 7; ++rung) {
    const double flops = 1e11 * std::pow(1.8, rung), best = std::sqrt(flops / 120);
    for (const double factor : {0.5, 0.8, 1.25, 2.0}) {
      const double off = std::log(factor);
      points.push_back({.N = best * factor,
                        .D = flops / (6 * best * factor),
                        .L = frontier(flops) * std::exp(0.02 * off * off),
                        .C = flops});
    }
  }
  return points;
}

TEST(Trend, RecoversAPowerLawFrontier) {
  const auto points = ladder([](double flops) { return 2.0 * std::pow(flops / 1e11, -0.11); });
  const Trend trend = frontier_trend(points);
  EXPECT_EQ(trend.levels, 4);
  EXPECT_NEAR(trend.slope, -0.11, 1e-3);
  EXPECT_NEAR(trend.loss(1e13) / (2.0 * std::pow(100.0, -0.11)), 1, 2e-3);
}

TEST(Trend, TwoLevelsAreNoTrend) {
  auto points = ladder([](double flops) { return std::pow(flops, -0.1); });
  points.resize(8);
  EXPECT_EQ(frontier_trend(points).levels, 0);
}

TEST(Blend, LeavesTheDataAloneAndMeetsHalfWayBeyond) {
  const auto points = ladder([](double flops) { return 2.0 * std::pow(flops / 1e11, -0.11); });
  const Fit fitted = fit(points, {});
  const Trend trend = frontier_trend(points);
  const Optimum inside = compute_optimal(fitted, 2e11);
  EXPECT_EQ(blend(fitted, trend, 2e11, inside).loss, inside.loss);
  const double far = 10 * fitted.highest_flops;
  const Optimum law = compute_optimal(fitted, far);
  const Optimum both = blend(fitted, trend, far, law);
  EXPECT_NEAR(both.loss, std::sqrt(law.loss * trend.loss(far)), 1e-9);
  EXPECT_GE(both.high / both.low, law.high / law.low);
  EXPECT_LE(both.low, std::min(law.loss, trend.loss(far)));
  EXPECT_GE(both.high, std::max(law.loss, trend.loss(far)));
}

}  // namespace
}  // namespace flywheel::scaling
