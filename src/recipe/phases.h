// The phases of a run's learning rate, and runs that branch from the stable phase of another: a warm-up-stable-decay
// run (Hu et al. 2024, MiniCPM; Haegele et al. 2024) that has ended lends its last stable checkpoint to a longer run of
// the same recipe, model and seed, which trains on from there and decays at its own end.
#pragma once

#include <optional>

#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::recipe {

// schedule.warmup_steps, less than all steps. A branched run has left its trunk's warm-up behind.
int64_t warmup_steps(const Recipe::Schedule& schedule, const Size& size);
// Steps before the decay begins: a WSD run decays over the last decay_fraction of its sequences, counted in full
// batches; the others from the end of the warm-up on.
int64_t stable_steps(const Recipe::Schedule& schedule, const Size& size);

// True when what a run holds at the end of its stable phase does not depend on where it was to end.
bool can_branch(const Recipe& recipe);
// `full`, trained on from where `trunk` began to decay: total sequences as in `full` to within half a batch. Nothing
// when that cannot be: another model or learning rate, or the trunk is too long for it.
std::optional<Size> branched_size(const Recipe& recipe, const Size& full, const Size& trunk);

}  // namespace flywheel::recipe
