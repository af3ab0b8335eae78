#include "engine/train/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace flywheel::train {
namespace {

constexpr int kVocabulary = 257;  // uniform loss 5.55 nats

TEST(DivergenceWatch, EndsAtTheFirstLossOrNormThatIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(DivergenceWatch(kVocabulary, 100).observe(1, nan, 1));
  EXPECT_TRUE(DivergenceWatch(kVocabulary, 100).observe(1, infinity, 1));
  EXPECT_TRUE(DivergenceWatch(kVocabulary, 100).observe(1, 2.0, nan));
}

TEST(DivergenceWatch, EndsALossThatExplodesAndStays) {
  DivergenceWatch watch(kVocabulary, 10);
  int64_t step = 1;
  for (; step <= 50; ++step) ASSERT_FALSE(watch.observe(step, 3.0, 1));
  const int64_t exploded = step;
  while (step < exploded + 200 && !watch.observe(step, 40.0, 1)) ++step;
  EXPECT_GE(step - exploded, DivergenceWatch::kPatience);
  EXPECT_LT(step - exploded, 60);
}

TEST(DivergenceWatch, ForgivesASpikeAndAHighLossDuringWarmUp) {
  DivergenceWatch watch(kVocabulary, 50);
  for (int64_t step = 1; step <= 50; ++step) ASSERT_FALSE(watch.observe(step, 40.0, 1));
  DivergenceWatch spike(kVocabulary, 0);
  for (int64_t step = 1; step <= 500; ++step) ASSERT_FALSE(spike.observe(step, step == 100 ? 60.0 : 3.0, 1));
}

TEST(DivergenceWatch, JudgesTheSameAfterARestart) {
  DivergenceWatch straight(kVocabulary, 0);
  for (int64_t step = 1; step <= 30; ++step) straight.observe(step, 2.0 + 0.1 * static_cast<double>(step % 7), 1);
  DivergenceWatch resumed(kVocabulary, 0);
  resumed.restore(straight.state());
  for (int64_t step = 31; step < 200; ++step) {
    const auto a = straight.observe(step, 30.0, 1), b = resumed.observe(step, 30.0, 1);
    ASSERT_EQ(a, b);
    if (a) return;
  }
  FAIL() << "never called it diverged";
}

}  // namespace
}  // namespace flywheel::train
