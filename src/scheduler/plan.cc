#include "scheduler/plan.h"

#include <tuple>

#include "scheduler/queue.h"

namespace flywheel::scheduler {

bool starts_before(const Request& a, const Request& b) {
  return std::tuple(-a.priority, -a.expected_seconds, a.order) < std::tuple(-b.priority, -b.expected_seconds, b.order);
}

Fit fits(const Request& request, const Room& room) {
  // A budget is spent by sums of doubles: their rounding must not refuse the last run of an exact budget.
  constexpr double kRounding = 1 + 1e-9;
  if (room.seconds <= 0 || request.expected_seconds > room.seconds * kRounding) return Fit::kNotInBudget;
  if (room.flops <= 0 || request.flops > room.flops * kRounding) return Fit::kNotInBudget;
  const Resources& needs = request.needs;
  if (needs.cores > room.free_cores || needs.memory_bytes > room.memory_bytes || needs.gpus > room.free_gpus)
    return Fit::kWhenOthersEnd;
  return Fit::kNow;
}

void reserve(const Request& request, Room& room) {
  room.free_cores -= request.needs.cores;
  room.free_gpus -= request.needs.gpus;
  room.flops -= request.flops;
  room.memory_bytes -= request.needs.memory_bytes;
}

std::vector<Request> plan(const Queue& queue, Room room) {
  std::vector<Request> chosen;
  for (const Request* next = queue.first(room, Fit::kNow); next != nullptr; next = queue.first(room, Fit::kNow, next)) {
    reserve(*next, room);
    chosen.push_back(*next);
  }
  return chosen;
}

}  // namespace flywheel::scheduler
