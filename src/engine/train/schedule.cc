#include "engine/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace flywheel::train {
namespace {

// From 1 to 0 while the decay's progress goes from 0 to 1.
double remaining_share(const recipe::Recipe::Schedule& schedule, double progress) {
  if (schedule.kind == recipe::ScheduleKind::kCosine) return 0.5 * (1 + std::cos(std::numbers::pi * progress));
  if (schedule.kind == recipe::ScheduleKind::kWsd && schedule.decay_shape == recipe::DecayShape::kSqrt)
    return 1 - std::sqrt(progress);
  return 1 - progress;
}

}  // namespace

double learning_rate_share(const recipe::Recipe::Schedule& schedule, const recipe::Size& size, int64_t step) {
  const int64_t warmup = recipe::warmup_steps(schedule, size), stable = recipe::stable_steps(schedule, size);
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  const int64_t decayed = std::min(step, size.steps) - stable;
  if (decayed <= 0) return 1;
  const double progress = static_cast<double>(decayed) / static_cast<double>(size.steps - stable);
  return schedule.final_fraction + (1 - schedule.final_fraction) * remaining_share(schedule, progress);
}

}  // namespace flywheel::train
