// SIGINT and SIGTERM as a flag that long work looks at.
#pragma once

namespace flywheel::cli {

// Installs the handlers; a second SIGINT ends the process at once.
void catch_stop_signals();
// 0, or the signal that asked us to stop.
int stop_signal();

}  // namespace flywheel::cli
