#include "recipe/phases.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace flywheel::recipe {
namespace {

// What makes the model and its stable learning rate; steps and batch may differ.
Json kind_of(const Size& size) {
  Size kind = size;
  kind.batch_sequences = 1;
  kind.steps = 1;
  kind.ramp_steps = kind.trunk_steps = 0;
  return to_json(kind);
}

// A tail average (over the last average_fraction of the steps) that would begin in the trunk cannot be had.
bool tail_is_its_own(const Recipe& recipe, const Size& size) {
  if (recipe.optimizer.averaging != Averaging::kTail) return true;
  const int64_t tail = std::llround(recipe.optimizer.average_fraction * static_cast<double>(size.steps));
  return size.steps - tail >= size.trunk_steps;
}

}  // namespace

int64_t warmup_steps(const Recipe::Schedule& schedule, const Size& size) {
  const int64_t most = size.trunk_steps > 0 ? size.trunk_steps : size.steps - 1;
  return std::clamp<int64_t>(schedule.warmup_steps, 0, std::max<int64_t>(0, most));
}

int64_t stable_steps(const Recipe::Schedule& schedule, const Size& size) {
  const int64_t warmup = warmup_steps(schedule, size);
  if (schedule.kind == ScheduleKind::kConstant) return size.steps;
  if (schedule.kind != ScheduleKind::kWsd) return warmup;
  const double batches = static_cast<double>(size.sequences_before(size.steps)) / size.batch_sequences;
  const int64_t decay = std::llround(schedule.decay_fraction * batches);
  return size.steps - std::clamp<int64_t>(decay, 0, size.steps - warmup);
}

bool can_branch(const Recipe& recipe) {
  return recipe.schedule.kind == ScheduleKind::kWsd && recipe.schedule.decay_fraction > 0;
}

std::optional<Size> branched_size(const Recipe& recipe, const Size& full, const Size& trunk) {
  if (!can_branch(recipe) || kind_of(full) != kind_of(trunk)) return std::nullopt;
  Size size = full;
  size.ramp_steps = 0;
  size.ramp_sequences = 0;
  size.trunk_steps = stable_steps(recipe.schedule, trunk);
  size.trunk_sequences = trunk.sequences_before(size.trunk_steps);
  if (size.trunk_steps < 1 || size.trunk_steps >= trunk.steps || size.trunk_steps < trunk.ramp_steps)
    return std::nullopt;
  const int64_t missing = full.sequences_before(full.steps) - size.trunk_sequences;
  if (missing < 1) return std::nullopt;
  size.steps = size.trunk_steps + std::llround(static_cast<double>(missing) / size.batch_sequences);
  if (size.steps <= size.trunk_steps || stable_steps(recipe.schedule, size) < size.trunk_steps) return std::nullopt;
  if (!tail_is_its_own(recipe, size)) return std::nullopt;
  return size;
}

}  // namespace flywheel::recipe
