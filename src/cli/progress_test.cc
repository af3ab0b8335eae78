#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flywheel::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Progress, LossesOfAllRunsAreOfOneKindAndUnit) {
  scheduler::Progress progress;
  progress.waiting = 2;
  progress.done = 5;
  progress.active.push_back({.run = "fresh",
                             .stage = "",
                             .rung_flops = 6.5e10,
                             .fraction = 0.2,
                             .train_loss = 2,
                             .bits_per_byte = 0,
                             .seconds = 1,
                             .seconds_left = 1});
  progress.active.push_back({.run = "judged",
                             .stage = "",
                             .rung_flops = 0,
                             .fraction = 0.5,
                             .train_loss = 1.5,
                             .bits_per_byte = 9.99,
                             .seconds = 1,
                             .seconds_left = 1});
  const std::string line = progress_line(progress, 90, 1.4427);
  EXPECT_THAT(line, HasSubstr("fresh 20% of 6.5e10 FLOPs, training at 2.885 bits per byte"));
  EXPECT_THAT(line, HasSubstr("judged 50%, training at 2.164 bits per byte"));
  EXPECT_THAT(line, Not(HasSubstr("9.99")));
  EXPECT_THAT(progress_line(progress, 90, 0), Not(HasSubstr("bits per byte")));
}

}  // namespace
}  // namespace flywheel::cli
