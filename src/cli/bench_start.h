// Measures the start-up time of a run, which every short run of a search pays.
#pragma once

#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::cli {

// Milliseconds from the start of a run's process (`flywheel train`, one thread, a new directory) to its first training
// step: the median of several. Throws kFailed when such a run fails.
double start_milliseconds(const recipe::Recipe& recipe, recipe::Size size);

}  // namespace flywheel::cli
