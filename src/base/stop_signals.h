// Signals that ask for something, as flags that long computations poll: SIGINT, SIGTERM, SIGHUP, SIGPIPE and SIGXCPU to
// save and end, SIGUSR1 to save and go on.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace flywheel {

// Installs the handlers for the whole process. A second SIGINT ends the process at once, a second SIGTERM changes
// nothing. A signal that was ignored when the process began (nohup, a shell's background job) stays ignored.
void catch_stop_signals();

// 0, or the signal that asked us to stop last.
int stop_signal();

// How often SIGUSR1 came: each is a wish for a checkpoint now, as batch systems send it ahead of a job's end.
int64_t checkpoint_requests();

// How a command ends that was asked to stop by this signal and saved its state.
ErrorCode stop_code(int signal);

}  // namespace flywheel
