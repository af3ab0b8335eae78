// SIGINT, SIGTERM and SIGHUP as a flag that long computations poll, so that they can save their state and end.
#pragma once

#include "base/error.h"

namespace flywheel {

// Installs the handlers for the whole process. A second SIGINT ends the process at once. A hangup that is ignored
// already (nohup) stays ignored.
void catch_stop_signals();

// 0, or the signal that asked us to stop last.
int stop_signal();

// How a command ends that was asked to stop by this signal and saved its state.
ErrorCode stop_code(int signal);

}  // namespace flywheel
