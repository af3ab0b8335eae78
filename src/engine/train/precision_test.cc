// Which precision "auto" becomes, and that it stays so.
#include "engine/train/precision.h"

#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"

namespace flywheel::train {
namespace {

TEST(Precision, IsFloat32UnlessBfloat16IsClearlyFaster) {
  using recipe::Precision;
  EXPECT_EQ((PrecisionTiming{64, 1.0, 0.9}.faster()), Precision::kBfloat16);
  EXPECT_EQ((PrecisionTiming{64, 1.0, 0.98}.faster()), Precision::kFloat32);
  EXPECT_EQ((PrecisionTiming{64, 1.0, 2.0}.faster()), Precision::kFloat32);
  EXPECT_EQ((PrecisionTiming{64, 0.0, 0.0}.faster()), Precision::kFloat32);
}

TEST(Precision, OfAWidthIsThatOfTheNearestTimedOne) {
  EXPECT_EQ(nearest_timed_width(1), 16);
  EXPECT_EQ(nearest_timed_width(22), 16);
  EXPECT_EQ(nearest_timed_width(23), 32);
  EXPECT_EQ(nearest_timed_width(80), 64);
  EXPECT_EQ(nearest_timed_width(5000), 512);
}

TEST(Precision, IsTimedWhereThereIsHardwareForIt) {
  const PrecisionTiming timing = time_precisions(16);
  EXPECT_EQ(timing.width, 16);
  EXPECT_EQ(timing.bf16_seconds > 0, kernels::has_bfloat16_dot());
  EXPECT_EQ(timing.fp32_seconds > 0, kernels::has_bfloat16_dot());
  EXPECT_EQ(choose_dtype(recipe::Precision::kAuto, 16),
            choose_dtype(faster_precision(17), 16));  // the same width, timed once
  EXPECT_EQ(choose_dtype(recipe::Precision::kFloat32, 16), tensor::Dtype::kFloat32);
  EXPECT_EQ(choose_dtype(recipe::Precision::kBfloat16, 16), tensor::Dtype::kBfloat16);
}

}  // namespace
}  // namespace flywheel::train
