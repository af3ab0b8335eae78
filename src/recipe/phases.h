// The phases of a learning-rate schedule, and branched runs: a longer run may start from the last stable checkpoint of
// a finished warm-up-stable-decay run (its trunk) of the same recipe, model and seed, and decays at its own end (Hu et
// al. 2024, MiniCPM; Haegele et al. 2024).
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

// True when the state at the end of the stable phase does not depend on the length of the run.
bool can_branch(const Recipe& recipe);
// `full`, continued from where `trunk` began to decay; its total sequences are those of `full` to within half a batch.
// Empty when it cannot branch: another model or learning rate, or too long a trunk.
std::optional<Size> branched_size(const Recipe& recipe, const Size& full, const Size& trunk);

}  // namespace flywheel::recipe
