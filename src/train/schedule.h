// The learning rate over a run, as a share of its peak: a pure function of the recipe, the step and the length.
#pragma once

#include <cstdint>

#include "recipe/recipe.h"

namespace flywheel::train {

// Of step 0 .. steps - 1. Warm-up rises linearly over w = round(warmup_fraction * steps) steps from 1/(w+1); then
//  cosine: half a cosine from 1 to final_fraction (Loshchilov and Hutter 2017);
//  constant: 1 to the end;
//  linear: a straight line from 1 to final_fraction;
//  wsd:    1 until the last round(decay_fraction * steps) steps, then a straight line to final_fraction (Hu et al.
//  2024).
// Decays reach final_fraction one step after the last, so that the last step still learns when it is 0.
double learning_rate_share(const Recipe::Schedule& schedule, int64_t step, int64_t steps);

int64_t warmup_steps(const Recipe::Schedule& schedule, int64_t steps);

}  // namespace flywheel::train
