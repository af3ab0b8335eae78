#include "scheduler/plan.h"

#include <tuple>

namespace flywheel::scheduler {

bool starts_before(const Candidate& a, const Candidate& b) {
  return std::tuple(-a.priority, -a.expected_seconds, a.order) < std::tuple(-b.priority, -b.expected_seconds, b.order);
}

Fit fits(const Candidate& candidate, const Room& room) {
  // A budget is spent by sums of doubles: their rounding must not refuse the last run of an exact budget.
  constexpr double kRounding = 1 + 1e-9;
  if (room.seconds <= 0 || candidate.expected_seconds > room.seconds * kRounding) return Fit::kNotInBudget;
  if (room.flops <= 0 || candidate.flops > room.flops * kRounding) return Fit::kNotInBudget;
  if (candidate.slots > room.free_slots || candidate.memory_bytes > room.memory_bytes) return Fit::kWhenOthersEnd;
  return Fit::kNow;
}

void reserve(const Candidate& candidate, Room& room) {
  room.free_slots -= candidate.slots;
  room.flops -= candidate.flops;
  room.memory_bytes -= candidate.memory_bytes;
}

std::vector<size_t> plan(std::span<const Candidate> in_order, Room room) {
  std::vector<size_t> chosen;
  for (size_t i = 0; i < in_order.size() && room.free_slots > 0; ++i) {
    if (fits(in_order[i], room) != Fit::kNow) continue;
    reserve(in_order[i], room);
    chosen.push_back(i);
  }
  return chosen;
}

}  // namespace flywheel::scheduler
