// flywheel fit --curves: a law of whole loss curves over learning-rate schedules.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "cli/arguments.h"
#include "cli/fit_command.h"

namespace flywheel::cli {

// Declares --curves and --hold-out beside what `flywheel fit` has declared; of `command` the runs, --predict, --huber
// and --json count here too. The returned action gives the exit status, or nothing when --curves was not asked for.
// Throws kBadInput for bad curves, and when neither curves nor runs are given.
std::function<std::optional<int>()> declare_fit_curves(Arguments& arguments, std::shared_ptr<const FitCommand> command);

}  // namespace flywheel::cli
