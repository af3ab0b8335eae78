#include "engine/train/checkpoint_interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flywheel::train {
namespace {

TEST(CheckpointInterval, ACheapCheckpointIsWrittenByYoungsRule) {
  CheckpointInterval interval(30, 0, 0);
  interval.observe(0.01);
  EXPECT_NEAR(interval.seconds(0), std::sqrt(2 * 0.01 * 60), 1e-9);
  EXPECT_NEAR(interval.seconds(540), std::sqrt(2 * 0.01 * 600), 1e-9);
}

TEST(CheckpointInterval, CheckpointsTakeAtMostTwoPercentOfAnUndisturbedRun) {
  for (const double cost : {0.001, 0.01, 0.05, 0.1, 0.3})
    for (const double trained : {0.0, 10.0, 1000.0}) {
      CheckpointInterval interval(1e9, 0, 0);
      interval.observe(cost);
      EXPECT_LE(cost / interval.seconds(trained), 0.02) << cost << " " << trained;
    }
}

TEST(CheckpointInterval, AtOneLossAMinuteAtMostFivePercentAreLost) {
  for (const double cost : {0.001, 0.01, 0.05}) {
    CheckpointInterval interval(30, 0, 10);
    interval.observe(cost);
    const double between = interval.seconds(600);
    EXPECT_LE(between / 2 / 60 + cost / between, 0.05) << cost;
  }
}

TEST(CheckpointInterval, FrequentLossesShortenIt) {
  CheckpointInterval calm(30, 4e6, 0), storm(30, 4e6, 20);
  EXPECT_LT(storm.seconds(60), calm.seconds(60) / 4);
}

TEST(CheckpointInterval, TheSpecsIntervalIsTheLongest) {
  CheckpointInterval interval(0.25, 4e6, 0);
  interval.observe(10);
  EXPECT_EQ(interval.seconds(1000), 0.25);
  EXPECT_EQ(CheckpointInterval(0, 4e6, 0).seconds(0), 0);
}

}  // namespace
}  // namespace flywheel::train
