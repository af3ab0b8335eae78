#include "engine/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace flywheel::train {
namespace {

recipe::Recipe::Schedule schedule(recipe::ScheduleKind kind, int warmup, double decay, double final) {
  return {.kind = kind, .warmup_steps = warmup, .decay_fraction = decay, .final_fraction = final};
}

double share(const recipe::Recipe::Schedule& s, int64_t step, int64_t steps) {
  recipe::Size size;
  size.steps = steps;
  size.batch_sequences = 3;
  return learning_rate_share(s, size, step);
}

TEST(Schedule, WarmUpRisesInEqualStepsAndNeverStartsAtZero) {
  for (recipe::ScheduleKind kind : {recipe::ScheduleKind::kCosine, recipe::ScheduleKind::kLinear,
                                    recipe::ScheduleKind::kWsd, recipe::ScheduleKind::kConstant}) {
    const auto s = schedule(kind, 100, 0.4, 0.1);
    EXPECT_DOUBLE_EQ(share(s, 0, 2000), 1.0 / 101);
    EXPECT_DOUBLE_EQ(share(s, 99, 2000), 100.0 / 101);
    EXPECT_DOUBLE_EQ(share(s, 100, 2000), 1.0);
  }
}

TEST(Schedule, CosineIsNanoGptsFormula) {
  const auto s = schedule(recipe::ScheduleKind::kCosine, 100, 0.4, 0.1);
  for (int64_t step : {100, 101, 1050, 1999}) {
    const double expected = 0.1 + 0.9 * 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(step - 100) / 1900));
    EXPECT_DOUBLE_EQ(share(s, step, 2000), expected) << step;
  }
  EXPECT_DOUBLE_EQ(share(s, 1050, 2000), 0.55);
  EXPECT_DOUBLE_EQ(share(s, 2000, 2000), 0.1);
}

TEST(Schedule, LinearFallsInEqualStepsAndStillLearnsInTheLast) {
  const auto s = schedule(recipe::ScheduleKind::kLinear, 10, 0.4, 0.0);
  EXPECT_DOUBLE_EQ(share(s, 10, 100), 1.0);
  EXPECT_DOUBLE_EQ(share(s, 55, 100), 0.5);
  EXPECT_NEAR(share(s, 99, 100), 1.0 / 90, 1e-15);
}

TEST(Schedule, WsdIsFlatUntilItsDecay) {
  const auto s = schedule(recipe::ScheduleKind::kWsd, 5, 0.4, 0.0);
  EXPECT_DOUBLE_EQ(share(s, 5, 100), 1.0);
  EXPECT_DOUBLE_EQ(share(s, 60, 100), 1.0);
  EXPECT_DOUBLE_EQ(share(s, 80, 100), 0.5);
  EXPECT_NEAR(share(s, 99, 100), 1.0 / 40, 1e-15);
}

TEST(Schedule, ASquareRootDecayFallsFastFirst) {
  auto s = schedule(recipe::ScheduleKind::kWsd, 5, 0.4, 0.1);
  s.decay_shape = recipe::DecayShape::kSqrt;
  EXPECT_DOUBLE_EQ(share(s, 60, 100), 1.0);
  EXPECT_DOUBLE_EQ(share(s, 70, 100), 0.55);
  EXPECT_DOUBLE_EQ(share(s, 100, 100), 0.1);
}

TEST(Schedule, ConstantNeverDecays) {
  const auto s = schedule(recipe::ScheduleKind::kConstant, 5, 0.4, 0.0);
  for (const int64_t step : {5, 60, 80, 99}) EXPECT_DOUBLE_EQ(share(s, step, 100), 1.0);
}

TEST(Schedule, WarmUpAndDecayThatOverlapShareTheRun) {
  const auto s = schedule(recipe::ScheduleKind::kWsd, 50, 1.0, 0.0);
  EXPECT_DOUBLE_EQ(share(s, 50, 100), 1.0);
  EXPECT_DOUBLE_EQ(share(s, 75, 100), 0.5);
}

TEST(Schedule, ConstantStaysUp) {
  const auto s = schedule(recipe::ScheduleKind::kConstant, 10, 0.4, 0.0);
  EXPECT_DOUBLE_EQ(share(s, 9, 100), 10.0 / 11);
  for (int64_t step : {10, 50, 99}) EXPECT_DOUBLE_EQ(share(s, step, 100), 1.0);
}

TEST(Schedule, ABranchedRunNeverWarmsUpAndDecaysOverItsShareOfTheSequences) {
  recipe::Size size;
  size.batch_sequences = 8;
  size.trunk_steps = 30;
  size.trunk_sequences = 120;
  size.steps = 30 + 35;  // 400 sequences: 50 full batches, of which 20 decay
  const auto s = schedule(recipe::ScheduleKind::kWsd, 60, 0.4, 0.0);
  for (int64_t step = 30; step <= 45; ++step) EXPECT_DOUBLE_EQ(learning_rate_share(s, size, step), 1.0) << step;
  EXPECT_DOUBLE_EQ(learning_rate_share(s, size, 55), 0.5);
  EXPECT_NEAR(learning_rate_share(s, size, 64), 1.0 / 20, 1e-15);
}

TEST(Schedule, ARunOfOneStepLearns) {
  for (const int warmup : {0, 1, 100})
    EXPECT_DOUBLE_EQ(share(schedule(recipe::ScheduleKind::kLinear, warmup, 0.4, 0.0), 0, 1), 1.0);
}

}  // namespace
}  // namespace flywheel::train
