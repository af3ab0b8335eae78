// flywheel fit --curves: a law of whole loss curves over learning-rate schedules.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>

namespace flywheel::cli {

// Declares --curves and --hold-out beside what `flywheel fit` has declared (runs, --predict, --huber, --json), and
// makes the table of runs optional. The returned action gives the exit status, or nothing when --curves was not asked
// for. Throws kBadInput for bad curves, and when neither curves nor runs are given.
std::function<std::optional<int>()> declare_fit_curves(CLI::App& app);

}  // namespace flywheel::cli
