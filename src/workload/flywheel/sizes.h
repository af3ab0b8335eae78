// The sizes of a recipe that runs of a ladder have: one geometric grid for all rungs, so that sizes recur and runs can
// branch. Pure.
#pragma once

#include <vector>

#include "recipe/recipe.h"
#include "recipe/size.h"
#include "workload/workload.h"

namespace flywheel::workload {

inline constexpr double kSizeSpacing = 1.6;  // between neighbouring sizes of a rung, in matrix parameters

// Workload::isoflop_runs of the engine: `centre` is in matrix parameters.
std::vector<SizedRun> isoflop_runs_of(const recipe::Recipe& recipe, double flops, double centre, int count_wanted,
                                      double max_tokens);

// FLOPs of judging a model, for each token that is scored: a longer context reads more for it (protocol/segments.h).
double evaluation_flops_per_scored(const recipe::Recipe& recipe, const recipe::Size& size);

}  // namespace flywheel::workload
