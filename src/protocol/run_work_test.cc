#include "protocol/run_work.h"

#include <gtest/gtest.h>

namespace flywheel::protocol {
namespace {

TEST(RunWork, CountsTheEvaluationsOnTheWayAndTheLast) {
  RunWork work{.steps = 100, .evaluation_flops = 3};
  EXPECT_EQ(work.own_evaluation_flops(), 3);  // the last alone
  work.evaluation_every = 30;
  EXPECT_EQ(work.own_evaluation_flops(), 4 * 3);  // 30, 60, 90, 100
  work.evaluation_every = 25;
  EXPECT_EQ(work.own_evaluation_flops(), 4 * 3);  // the fourth is the last
  work.evaluation_every = 1;
  EXPECT_EQ(work.own_evaluation_flops(), 100 * 3);
  work.evaluation_every = 200;
  EXPECT_EQ(work.own_evaluation_flops(), 3);
}

TEST(RunWork, ATrunksEvaluationsAreNotThoseOfItsBranch) {
  const RunWork branch{.steps = 100, .first_step = 50, .evaluation_flops = 3, .evaluation_every = 25};
  EXPECT_EQ(branch.own_evaluation_flops(), 2 * 3);  // 75 and 100: that at 50 was the trunk's
}

TEST(RunWork, NearTheEndTheLastEvaluationIsStillToCome) {
  const RunWork work{.steps = 100, .optimizer_flops_per_step = 2, .evaluation_flops = 30, .evaluation_every = 25};
  EXPECT_EQ(work.beside_after(0), 200 + 4 * 30);
  EXPECT_EQ(work.beside_after(60), 80 + 2 * 30);
  EXPECT_EQ(work.beside_after(99), 2 + 30);
  EXPECT_EQ(work.beside_after(100), 30);  // trained, and not yet judged
}

}  // namespace
}  // namespace flywheel::protocol
