#include "scheduler/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "scheduler/queue.h"

namespace flywheel::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Request> sorted(std::vector<Request> requests) {
  for (size_t i = 0; i < requests.size(); ++i) requests[i].order = static_cast<int64_t>(i);
  std::sort(requests.begin(), requests.end(), starts_before);
  return requests;
}

// Their places in the order.
std::vector<size_t> planned(const std::vector<Request>& in_order, const Room& room) {
  Queue queue;
  for (size_t i = in_order.size(); i-- > 0;) queue.insert(in_order[i]);
  std::vector<size_t> places;
  for (const Request& chosen : plan(queue, room))
    for (size_t i = 0; i < in_order.size(); ++i)
      if (in_order[i].order == chosen.order) places.push_back(i);
  return places;
}

TEST(Plan, HigherPriorityStartsFirstThenTheLongest) {
  const auto order = sorted({{.priority = 0, .expected_seconds = 9},
                             {.priority = 1, .expected_seconds = 1},
                             {.priority = 1, .expected_seconds = 5},
                             {.priority = 1, .expected_seconds = 5}});
  EXPECT_THAT(std::vector<int64_t>({order[0].order, order[1].order, order[2].order, order[3].order}),
              ElementsAre(2, 3, 1, 0));
}

TEST(Plan, RunThatDoesNotFitIsPassedOver) {
  const std::vector<Request> jobs = sorted({{.priority = 3, .flops = 100},
                                            {.priority = 2, .needs = {.cores = 4}},
                                            {.priority = 1, .needs = {.memory_bytes = 50}},
                                            {.flops = 5},
                                            {.flops = 5}});
  EXPECT_THAT(planned(jobs, {.free_cores = 2, .flops = 10, .memory_bytes = 40}), ElementsAre(3, 4));
  EXPECT_THAT(planned(jobs, {.free_cores = 2, .flops = 9, .memory_bytes = 50}), ElementsAre(2, 3));
}

TEST(Plan, NothingStartsAfterTheDeadlineOrPastIt) {
  const std::vector<Request> jobs = sorted({{.expected_seconds = 5}, {.expected_seconds = 0}});
  EXPECT_THAT(planned(jobs, {.free_cores = 2, .seconds = 0}), IsEmpty());
  EXPECT_THAT(planned(jobs, {.free_cores = 2, .seconds = 4}), ElementsAre(1));
  EXPECT_THAT(planned(jobs, {.free_cores = 2, .seconds = 5}), ElementsAre(0, 1));
}

// For any jobs: no reservation is exceeded, and whoever was passed over did not fit what was left in the end.
TEST(Plan, NoSlotIdlesWhileAStartableRunWaits) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed);
    std::vector<Request> jobs(rng.below(12));
    for (Request& job : jobs)
      job = {static_cast<int>(rng.below(3)),
             static_cast<double>(rng.below(9)),
             static_cast<double>(rng.below(9)),
             {.cores = 1 + static_cast<int>(rng.below(3)), .memory_bytes = rng.below(9)},
             0};
    jobs = sorted(jobs);
    Room room{.free_cores = static_cast<int>(rng.below(5)),
              .seconds = static_cast<double>(rng.below(9)),
              .flops = static_cast<double>(rng.below(30)),
              .memory_bytes = rng.below(20)};
    const auto chosen = planned(jobs, room);
    for (const size_t i : chosen) {
      ASSERT_EQ(fits(jobs[i], room), Fit::kNow) << "seed " << seed;
      reserve(jobs[i], room);
    }
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
      EXPECT_NE(fits(jobs[i], room), Fit::kNow) << "seed " << seed << ", job " << i;
    }
  }
}

}  // namespace
}  // namespace flywheel::scheduler
