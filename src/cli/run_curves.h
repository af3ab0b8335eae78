// Run directories as loss curves: what `flywheel fit --curves FOLDER` reads.
#pragma once

#include <vector>

#include "base/file_system.h"
#include "scaling/curves/curve_schedule.h"

namespace flywheel::cli {

// Every run directory in `folder` (or the one that it is) with evaluations: bits per byte on the split of its first
// evaluation, N its matrix parameters, rates those of hidden matrices. Rates are those of spec.json's schedule up to
// its last step, so a run that is still under way has its end to be predicted; where logged rates are others (a trainer
// with a schedule of its own), or there is no spec.json, the logged ones. A branched run gets its own spec's warm-up,
// its trunk's losses are not read. Where runs were scored on different text, those of the
// list of segments that most share; the others are named in a warning. Sorted by name. Throws kBadInput when no run is
// found.
std::vector<scaling::Curve> read_run_curves(const Path& folder);

}  // namespace flywheel::cli
