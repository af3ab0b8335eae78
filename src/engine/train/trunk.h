// Loads the trunk's checkpoint, from which a branched run continues.
#pragma once

#include "engine/train/checkpoint.h"

namespace flywheel::train {

// The trunk's stable.bin in `directory` (spec.branch, or where that run was repeated), checked to be of the same
// recipe, model, seeds, corpus and precision and to stand where the spec says. Throws kFailed with a reason that starts
// with "input: branch" when it is missing, damaged or another. REQUIRES a spec with a branch.
Checkpoint open_trunk(const recipe::RunSpec& spec, const Path& directory);

}  // namespace flywheel::train
