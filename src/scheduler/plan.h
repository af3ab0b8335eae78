// The plan: which waiting runs start next. Pure, without clock, process or ledger, so that every rule can be tested
// alone.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "protocol/resources.h"

namespace flywheel::scheduler {

using protocol::Resources;

// A waiting run as the plan sees it.
struct Request {
  int priority = 0;
  double expected_seconds = 0;  // remaining once started; 0: unknown, fits any deadline
  double flops = 0;             // remaining to be spent
  Resources needs = {};
  int64_t order = 0;  // in which it was requested; identifies it
};

// Higher priority first, then the longest first (so that no long run is left for the end), then in order of request.
bool starts_before(const Request& a, const Request& b);

// What is free for waiting runs: capacity and budget less the reservations of running ones.
struct Room {
  int free_cores = 0, free_gpus = 0;
  double seconds = std::numeric_limits<double>::infinity();
  double flops = std::numeric_limits<double>::infinity();
  uint64_t memory_bytes = std::numeric_limits<uint64_t>::max();
};

enum class Fit {
  kNow,
  kWhenOthersEnd,  // needs cores, memory or GPUs that running ones hold
  kNotInBudget,    // would exceed the deadline or the FLOPs left: waiting does not help
};
// Monotone: a request for less of everything fits at least as well.
Fit fits(const Request& request, const Room& room);

// Subtracts the needs of a run that is started.
void reserve(const Request& request, Room& room);

class Queue;
// The requests to start, in order. Greedy: a run that does not fit is passed over, so no core stays idle
// while a startable run waits.
std::vector<Request> plan(const Queue& queue, Room room);

}  // namespace flywheel::scheduler
