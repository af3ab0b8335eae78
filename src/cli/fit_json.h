// Everything `flywheel fit` finds out, as the JSON object that it prints (docs/fit.md): one small function per part.
#pragma once

#include "base/json.h"
#include "cli/fit_input.h"

namespace flywheel::cli {

// Reads, fits, forecasts. Throws kBadInput as read_inputs() and scaling::fit() do.
OrderedJson fit_json(const FitCommand& command);

}  // namespace flywheel::cli
