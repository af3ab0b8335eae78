#include "report/training_curve.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/format.h"
#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

constexpr TrainingUnits kUnits{.bits_per_byte_per_nat = 2, .flops_per_token = 10};

std::string step(int number, double loss) {
  return fmt::format(R"({{"t":1,"type":"step","step":{0},"tokens":{1},"loss":{2}}})"
                     "\n",
                     number, 100 * number, loss);
}

std::vector<TrainingPoint> curve_of(const std::string& events, int most, TrainingUnits units = kUnits) {
  const testing::TemporaryFolder folder;
  real_file_system().write_atomic(folder.path() / "events.jsonl", events);
  return training_curve(folder.path() / "events.jsonl", units, most);
}

TEST(TrainingCurve, FewLossesAreKeptAsTheyAre) {
  const auto curve = curve_of(R"({"t":0,"type":"start"})"
                              "\n" +
                                  step(1, 5) + step(10, 3) + step(100, 2),
                              60);
  ASSERT_EQ(curve.size(), 3u);
  EXPECT_NEAR(curve[0].flops, 1000, 1e-6);
  EXPECT_NEAR(curve[0].bits_per_byte, 10, 1e-9);
  EXPECT_NEAR(curve[2].flops, 100000, 1e-6);
  EXPECT_NEAR(curve[2].bits_per_byte, 4, 1e-9);
}

TEST(TrainingCurve, ManyBecomeMeansAtEqualStepsOfLnFlops) {
  std::string events;
  for (int i = 1; i <= 2000; ++i) events += step(i, i % 2 == 0 ? 1 : 3);
  const auto curve = curve_of(events, 40);
  EXPECT_GT(curve.size(), 20u);
  EXPECT_LE(curve.size(), 40u);
  EXPECT_NEAR(curve.back().bits_per_byte, 4, 0.1);  // the mean of both losses, not one of them
  for (size_t i = 1; i < curve.size(); ++i) EXPECT_GT(curve[i].flops, curve[i - 1].flops);
  const double steps = std::log(curve.back().flops / curve[curve.size() - 9].flops) / 8;
  EXPECT_NEAR(steps, std::log(2000.0) / 40, 0.02);
}

TEST(TrainingCurve, ARunOverLittleComputeIsAveragedAsTheOthers) {
  std::string events;
  for (int i = 1000; i <= 2000; i += 10) events += step(i, 2);  // a hundred losses of a branched run
  const auto curve = curve_of(events, 60);
  EXPECT_GE(curve.size(), 11u);
  EXPECT_LE(curve.size(), 13u);
}

TEST(TrainingCurve, WhatAResumedRunDidAgainCountsOnce) {
  const std::string events = step(1, 5) + step(10, 9) +
                             R"({"t":2,"type":"start","resumed_step":5})"
                             "\n" +
                             step(10, 3);
  const auto curve = curve_of(events, 60);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_NEAR(curve[1].bits_per_byte, 6, 1e-9);
}

TEST(TrainingCurve, WithoutAFolderOrUnitsThereIsNone) {
  EXPECT_TRUE(training_curve("/nowhere/events.jsonl", kUnits, 60).empty());
  EXPECT_TRUE(curve_of(step(1, 5) + step(2, 4), 60, {}).empty());
  EXPECT_TRUE(curve_of("", 60).empty());
}

TEST(TrainingCurve, NatsBecomeBitsByTheBytesOfTheTrainingText) {
  ledger::CorpusRecord corpus;
  EXPECT_EQ(bits_per_byte_per_nat(corpus), 0);
  corpus.splits["train"] = {.bytes = 4000, .tokens = 1000};
  EXPECT_NEAR(bits_per_byte_per_nat(corpus), 0.25 / std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace flywheel::report
