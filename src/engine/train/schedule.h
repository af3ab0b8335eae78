// The learning rate over a run, as a share of its peak: a pure function of the recipe, the size and the step.
#pragma once

#include <cstdint>

#include "recipe/phases.h"

namespace flywheel::train {

// Of step 0 .. size.steps - 1. Warm-up rises linearly over w = warmup_steps from 1/(w+1); then, from stable_steps on,
//  cosine: half a cosine from 1 to final_fraction (Loshchilov and Hutter 2017);
//  constant: 1 to the end;
//  linear: a straight line from 1 to final_fraction;
//  wsd:    1 before, then a straight line to final_fraction (Hu et al. 2024), or 1 - sqrt(progress) (Haegele et al.
//          2024).
// Decays reach final_fraction one step after the last, so that the last step still learns when it is 0. All of it goes
// by steps, also where a batch ramp or a trunk made the batches differ.
double learning_rate_share(const recipe::Recipe::Schedule& schedule, const recipe::Size& size, int64_t step);

}  // namespace flywheel::train
