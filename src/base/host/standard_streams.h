// What a process is born with, made safe before anything else runs: descriptors 0 to 2, stdout, the signals of writes
// that fail, and a stack that is large enough. For the whole process; call from main.
#pragma once

#include <functional>
#include <string_view>

namespace flywheel {

// - Descriptors 0, 1 and 2 that are closed are opened, so that no file of ours gets their number and log lines with it.
//   A closed stdout stays one that cannot be written: results that are lost are told.
// - A pipe that nobody reads and a limit on the size of files are errors of the write, not the end of the process.
// - stdout shows control characters instead of passing them on (base/visible_text.h).
void set_up_standard_streams();

// Runs `work` on a stack of a usual size, on a thread of its own where `ulimit -s` leaves less.
int with_usual_stack(const std::function<int()>& work);

// Text that is data, a model's sample say: as it is, unless it goes to a terminal. Throws kFailed like check_output().
void print_exactly(std::string_view text);

// Throws kFailed, naming the reason, when something that was written to stdout did not get out. Call last.
void check_output();
// Whether it has happened already: what was thrown since is likely to come from it.
bool output_failed();

}  // namespace flywheel
