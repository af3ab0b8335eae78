// By simulation: what the test promises holds for noise of any shape and for any rule of stopping.
#include "evidence/paired_evidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

constexpr int kWorlds = 2000;
using Noise = std::function<double(Rng&)>;

double student3(Rng& rng) {
  double square = 0;
  const double z = rng.normal();
  for (int i = 0; i < 3; ++i) square += std::pow(rng.normal(), 2);
  return z / std::sqrt(square / 3);
}

const std::vector<std::pair<const char*, Noise>>& noises() {
  static const std::vector<std::pair<const char*, Noise>> all = {
      {"normal", [](Rng& r) { return r.normal(); }},
      {"Student, 3 degrees of freedom", student3},
      {"skewed", [](Rng& r) { return std::exp(r.normal()); }},
      {"now and then a run goes astray", [](Rng& r) { return r.normal() + (r.uniform() < 0.1 ? 20 : 0); }},
      {"coarse", [](Rng& r) { return std::round(2 * r.normal()); }}};
  return all;
}

// Share of worlds in which a test of exchangeable pairs ever exceeds 1 / alpha within 25 pairs.
TEST(SequentialTest, FalseAlarmsStayBelowAlphaAtAnyStoppingTimeForAnyNoise) {
  for (const auto& [name, noise] : noises())
    for (const double scale : {0.05, 1.0, 30.0}) {  // however wrong the guess
      int alarms = 0;
      for (int w = 0; w < kWorlds; ++w) {
        Rng rng(static_cast<uint64_t>(w), 5);
        SequentialTest test(scale);
        for (int i = 0; i < 25; ++i) {
          test.add(noise(rng) - noise(rng));
          if (test.log_e_better() >= std::log(20.0)) {
            ++alarms;
            break;
          }
        }
      }
      EXPECT_LE(alarms, 0.05 * kWorlds) << name << ", scale " << scale;
    }
}

TEST(SequentialTest, AChangeThatHurtsRaisesFewerAlarmsStill) {
  int alarms = 0;
  for (int w = 0; w < kWorlds; ++w) {
    Rng rng(static_cast<uint64_t>(w), 6);
    SequentialTest test(1);
    for (int i = 0; i < 25 && test.log_e_better() < std::log(20.0); ++i) test.add(0.5 + student3(rng) - student3(rng));
    alarms += test.log_e_better() >= std::log(20.0);
  }
  EXPECT_LE(alarms, 0.01 * kWorlds);
}

TEST(SequentialTest, FindsAGainOfTwoNoiseFloorsInSixteenPairs) {
  int found = 0;
  for (int w = 0; w < 1000; ++w) {
    Rng rng(static_cast<uint64_t>(w), 7);
    SequentialTest test(std::sqrt(2.0));
    for (int i = 0; i < 16 && test.log_e_better() < std::log(100.0); ++i) test.add(rng.normal() - rng.normal() - 2);
    found += test.log_e_better() >= std::log(100.0);
  }
  EXPECT_GE(found, 850);
}

TEST(SequentialTest, IntervalHoldsTheMedianAtAllTimesAtOnce) {
  for (const auto& [name, noise] : noises()) {
    int missed = 0;
    for (int w = 0; w < 300; ++w) {
      Rng rng(static_cast<uint64_t>(w), 8);
      SequentialTest test(1.4);
      bool held = true;
      for (int i = 0; i < 12; ++i) {
        test.add(-0.7 + noise(rng) - noise(rng));
        const Interval interval = test.interval(0.1);
        held = held && interval.low <= -0.7 && -0.7 <= interval.high;
        EXPECT_LE(interval.low, interval.value);
        EXPECT_GE(interval.high, interval.value);
      }
      missed += !held;
    }
    EXPECT_LE(missed, 30) << name;
  }
}

TEST(SequentialTest, IntervalAndTestAgree) {
  Rng rng(3);
  SequentialTest test(1.4);
  for (int i = 0; i < 30; ++i) {
    test.add(-1 + rng.normal());
    EXPECT_EQ(test.interval(0.1).high<0, test.log_e_better()> std::log(20.0)) << i;
  }
  EXPECT_LT(test.interval(0.1).high, 0);
}

TEST(SequentialTest, MirroredDifferencesGiveTheMirroredEvidence) {
  SequentialTest one(2), other(2);
  for (const double d : {0.3, -1.2, 2.0, -0.1}) one.add(d), other.add(-d);
  EXPECT_DOUBLE_EQ(one.log_e_better(), other.log_e_worse());
  EXPECT_NEAR(one.interval(0.5).low, -other.interval(0.5).high, 1e-9);
}

}  // namespace
}  // namespace flywheel::evidence
