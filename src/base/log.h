// Progress and warnings on stderr. Results never go through here: they are stdout's.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace flywheel {

// Plain lines "hh:mm:ss message", coloured only on a terminal and without NO_COLOR.
void set_up_log(bool quiet);

// Writes to stderr as it is. Never throws: a message that does not fit on a full disk must not end the program.
void write_error(std::string_view text);

}  // namespace flywheel
