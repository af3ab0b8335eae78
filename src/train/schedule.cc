#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace flywheel::train {

int64_t warmup_steps(const Recipe::Schedule& schedule, int64_t steps) {
  const int64_t warmup = std::llround(schedule.warmup_fraction * static_cast<double>(steps));
  return std::clamp<int64_t>(warmup, 0, std::max<int64_t>(0, steps - 1));
}

double learning_rate_share(const Recipe::Schedule& schedule, int64_t step, int64_t steps) {
  const int64_t warmup = warmup_steps(schedule, steps);
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  if (schedule.kind == ScheduleKind::kConstant) return 1;
  int64_t decay_steps = steps - warmup;
  if (schedule.kind == ScheduleKind::kWsd) {
    const int64_t asked = std::llround(schedule.decay_fraction * static_cast<double>(steps));
    decay_steps = std::clamp<int64_t>(asked, 0, decay_steps);
  }
  const int64_t decayed = std::min(step, steps) - (steps - decay_steps);
  if (decayed <= 0) return 1;
  const double progress = static_cast<double>(decayed) / static_cast<double>(decay_steps);
  const double remaining =
      schedule.kind == ScheduleKind::kCosine ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return schedule.final_fraction + (1 - schedule.final_fraction) * remaining;
}

}  // namespace flywheel::train
