#include "scaling/curves/curve_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scaling/curves/curve_law.h"
#include "scaling/curves/synthetic_curves.h"

namespace flywheel::scaling {
namespace {

TEST(CurveSchedule, CompressionKeepsTheScheduleWithFewPoints) {
  const std::vector<RatePoint> rates = made_rates(kCosine, 5000, 100, 0.02);
  const std::vector<RatePoint> kept = compress_rates(rates);
  EXPECT_LT(kept.size(), 60u);
  const Schedule schedule(rates);
  for (const RatePoint& r : rates) EXPECT_NEAR(schedule.rate_at(r.step), r.rate, 0.02 * 5.1e-4);
}

TEST(CurveSchedule, CurvesOfOtherTextThanMostAreLeftOut) {
  std::vector<Curve> curves(4);
  for (size_t i = 0; i < 4; ++i) curves[i].name = std::string(1, static_cast<char>('a' + i));
  EXPECT_TRUE(leave_one_text(curves).empty());
  curves[0].text = curves[3].text = "one";
  curves[1].text = "another";
  EXPECT_EQ(leave_one_text(curves), (std::vector<std::string>{"b", "c"}));
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[1].name, "d");
}

TEST(CurveSchedule, AveragesLossesOfSingleBatches) {
  std::vector<LossPoint> losses;
  for (int t = 1; t <= 1000; ++t) losses.push_back({static_cast<double>(t), 3.0 + (t % 2 ? 0.5 : -0.5)});
  const std::vector<LossPoint> means = averaged(losses, 100);
  ASSERT_EQ(means.size(), 100u);
  EXPECT_DOUBLE_EQ(means[0].step, 5.5);
  for (const LossPoint& mean : means) EXPECT_DOUBLE_EQ(mean.loss, 3.0);
  EXPECT_EQ(averaged(losses, 2000).size(), 1000u);
}

TEST(CurveSchedule, AStableDecayScheduleIsThreePieces) {
  EXPECT_LE(compress_rates(made_rates(kStableDecay, 5000, 100, 0.02)).size(), 6u);
}

TEST(CurveSchedule, SumsAreThoseOfTheSteps) {
  for (const Shape& shape : {kLevel, kCosine, kStableDecay}) {
    const std::vector<RatePoint> rates = made_rates(shape, 800, 40, 0.02);
    const Schedule schedule(rates);
    double sum = 0;
    for (const RatePoint& r : rates) {
      sum += r.rate;
      EXPECT_NEAR(schedule.sum_to(r.step) / sum, 1, 2e-3) << r.step;
    }
  }
}

TEST(CurveSchedule, PathsGiveSumsOfPowersOfTheRate) {
  for (const Shape& shape : {kLevel, kCosine, kStableDecay}) {
    const std::vector<RatePoint> rates = made_rates(shape, 800, 40, 1);
    const Schedule schedule(rates);
    for (const double power : {0.2, 0.5, 1.0})
      for (const size_t step : {30, 300, 800}) {
        double expected = 0, sum = 0;
        for (size_t i = 0; i < step; ++i) expected += std::pow(rates[i].rate, power);
        for (const Stretch& stretch : schedule.path_to(static_cast<double>(step)))
          sum += stretch.steps * std::pow(stretch.rate, power);
        EXPECT_NEAR(sum / expected, 1, 2e-3) << power << " " << step;
      }
  }
}

TEST(CurveSchedule, TheWarmUpEndsAtTheFirstLevelAndIsNoDrop) {
  const Schedule schedule(made_rates(kLevel, 800, 40, 0.02));
  EXPECT_NEAR(schedule.warmup_end(), 41, 1);
  EXPECT_TRUE(schedule.drops_to(800).empty());
  EXPECT_EQ(Schedule(made_rates(kStableDecay, 800, 0, 0.02)).warmup_end(), 0);
  EXPECT_EQ(Schedule({{1, 0.1}, {10, 1}}).warmup_end(), 10);
  EXPECT_EQ(Schedule({{100, 0.1}, {200, 1}, {300, 1}}).warmup_end(), 200);
  EXPECT_EQ(Schedule({{0, 0}, {10, 1}, {300, 1}}).warmup_end(), 10);
}

TEST(CurveSchedule, DropsAddUpToTheFallOfTheRate) {
  const Schedule schedule(made_rates(kCosine, 800, 40, 0.02));
  for (const double step : {100.0, 433.0, 800.0}) {
    double fall = 0;
    for (const Drop& drop : schedule.drops_to(step)) fall += drop.drop;
    EXPECT_NEAR(fall, schedule.peak() - schedule.rate_at(step), 1e-8) << step;
  }
}

// The law over nodes is the law over steps as the paper sums it.
TEST(CurveSchedule, NodesGiveTheLawAsItIsDefined) {
  const MadeLaw law;
  const CurveLayout layout{CurveForm::kMultiPower, false};
  const std::vector<double> theta = {std::log(law.E), std::log(law.A),    std::log(law.alpha), std::log(law.B),
                                     std::log(law.C), std::log(law.beta), std::log(law.gamma)};
  const Shape to_zero = [](double x) { return x < 0.6 ? 1.0 : (1.0 - x) / 0.4 + 1e-3; };
  const Shape steps_down = [](double x) { return x < 0.4 ? 1.0 : x < 0.8 ? 0.3 : 0.1; };
  const Shape cycles = [](double x) { return 0.55 + 0.45 * std::cos(6 * M_PI * x); };
  for (const Shape& shape : {kLevel, kCosine, kStableDecay, to_zero, steps_down, cycles}) {
    const std::vector<RatePoint> rates = made_rates(shape, 1500, 50, 0.01);
    const Schedule schedule(rates);
    for (const int t : {60, 400, 901, 1000, 1300, 1499, 1500}) {
      const double expected = made_loss(law, rates, t, 50, 0.01, 1);
      const CurvePoint point = curve_point(layout.form, schedule, t, 0.01, 0);
      EXPECT_NEAR(curve_loss(layout, theta, point, nullptr), expected, 5e-4 * expected) << t;
    }
  }
}

TEST(CurveSchedule, StepsOfADropAreTakenOneByOne) {
  std::vector<RatePoint> rates = {{1, 1}, {99, 1}, {100, 0.25}, {200, 0.25}};
  const std::vector<Drop> drops = Schedule(rates).drops_to(150);
  ASSERT_EQ(drops.size(), 1u);
  EXPECT_DOUBLE_EQ(drops[0].drop, 0.75);
  EXPECT_DOUBLE_EQ(drops[0].rate, 0.25);
  EXPECT_DOUBLE_EQ(drops[0].sum, 51 * 0.25);
  EXPECT_DOUBLE_EQ(drops[0].count, 51);
}

}  // namespace
}  // namespace flywheel::scaling
