#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace flywheel::train {

double learning_rate_share(const Recipe::Schedule& schedule, const Size& size, int64_t step) {
  const int64_t warmup = warmup_steps(schedule, size), stable = stable_steps(schedule, size);
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  const int64_t decayed = std::min(step, size.steps) - stable;
  if (decayed <= 0) return 1;
  const double progress = static_cast<double>(decayed) / static_cast<double>(size.steps - stable);
  const double remaining =
      schedule.kind == ScheduleKind::kCosine ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return schedule.final_fraction + (1 - schedule.final_fraction) * remaining;
}

}  // namespace flywheel::train
