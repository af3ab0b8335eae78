#include "scheduler/queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/rng.h"

namespace flywheel::scheduler {
namespace {

Request random_request(Rng& rng, int64_t order) {
  return {.priority = static_cast<int>(rng.below(3)),
          .expected_seconds = static_cast<double>(rng.below(9)),
          .flops = static_cast<double>(rng.below(9)),
          .needs = {.cores = 1 + static_cast<int>(rng.below(3)),
                    .memory_bytes = rng.below(9),
                    .gpus = static_cast<int>(rng.below(2))},
          .order = order};
}

// What first() has to find, by looking at everything.
const Request* first_of(const std::vector<Request>& in_order, const Room& room, Fit at_least) {
  for (const Request& request : in_order)
    if (fits(request, room) == Fit::kNow || fits(request, room) == at_least) return &request;
  return nullptr;
}

TEST(Queue, FindsWhatALookAtEveryRequestFinds) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Queue queue;
    std::vector<Request> all;
    for (int64_t i = 0; i < 100; ++i) {
      if (!all.empty() && rng.below(3) == 0) {
        const auto gone = all.begin() + static_cast<ptrdiff_t>(rng.below(all.size()));
        queue.erase(*gone);
        all.erase(gone);
      } else {
        const Request request = random_request(rng, i);
        queue.insert(request);
        all.insert(std::upper_bound(all.begin(), all.end(), request, starts_before), request);
      }
      const Room room{.free_cores = static_cast<int>(rng.below(4)),
                      .free_gpus = static_cast<int>(rng.below(2)),
                      .seconds = static_cast<double>(rng.below(9)),
                      .flops = static_cast<double>(rng.below(9)),
                      .memory_bytes = rng.below(9)};
      for (const Fit at_least : {Fit::kNow, Fit::kWhenOthersEnd}) {
        const Request* expected = first_of(all, room, at_least);
        const Request* found = queue.first(room, at_least);
        ASSERT_EQ(expected == nullptr, found == nullptr);
        if (expected == nullptr) continue;
        ASSERT_EQ(found->order, expected->order);
        // The next one after it.
        const std::vector<Request> rest(all.begin() + (expected - all.data()) + 1, all.end());
        const Request* next = queue.first(room, at_least, found);
        const Request* expected_next = first_of(rest, room, at_least);
        ASSERT_EQ(expected_next == nullptr, next == nullptr);
        if (next != nullptr) {
          EXPECT_EQ(next->order, expected_next->order);
        }
      }
    }
  }
}

TEST(Queue, PassesOverThousandsThatDoNotFitAtOnce) {
  Queue queue;
  for (int64_t i = 0; i < 10000; ++i) queue.insert({.expected_seconds = static_cast<double>(i), .order = i});
  EXPECT_EQ(queue.first({.free_cores = 1, .seconds = 5000}, Fit::kNow)->expected_seconds, 5000);
  EXPECT_EQ(queue.first({.free_cores = 0}, Fit::kNow), nullptr);
  EXPECT_LT(queue.examined(), 200);
}

}  // namespace
}  // namespace flywheel::scheduler
