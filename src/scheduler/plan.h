// The plan: which waiting runs start now. Pure: no clock, no process, no ledger, so that every rule is tested by
// itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace flywheel::scheduler {

// What the plan knows of a run that waits.
struct Candidate {
  int priority = 0;
  double expected_seconds = 0;  // still to go, once started; 0: unknown, fits any time
  double flops = 0;             // still to be trained
  int slots = 1;
  uint64_t memory_bytes = 0;  // at its peak; 0: unknown, always fits
  int64_t order = 0;          // of being asked for
};

// Higher priority first; equal: the longest first, so that no long run is left over for the end; then first asked
// first.
bool starts_before(const Candidate& a, const Candidate& b);

// What is left for runs that are not running yet. Reservations of running ones are already taken off.
struct Room {
  int free_slots = 0;
  double seconds = std::numeric_limits<double>::infinity();
  double flops = std::numeric_limits<double>::infinity();
  uint64_t memory_bytes = std::numeric_limits<uint64_t>::max();
};

enum class Fit {
  kNow,
  kWhenOthersEnd,  // lacks slots or memory that running ones hold
  kNotInBudget,    // would end after the deadline, or take more FLOPs than are left: waiting does not help
};
Fit fits(const Candidate& candidate, const Room& room);

// Takes what a run that starts now needs off the room.
void reserve(const Candidate& candidate, Room& room);

// The indices to start now, given candidates in the order of starts_before. Greedy: a run that does not fit is passed
// over, so no slot stays idle while a startable run waits.
std::vector<size_t> plan(std::span<const Candidate> in_order, Room room);

}  // namespace flywheel::scheduler
