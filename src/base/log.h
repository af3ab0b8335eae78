// Progress and warnings on stderr. Results never go through here: they are stdout's.
#pragma once

#include <spdlog/spdlog.h>

namespace flywheel {

// Plain lines "hh:mm:ss message", coloured only on a terminal and without NO_COLOR.
void set_up_log(bool quiet);

}  // namespace flywheel
