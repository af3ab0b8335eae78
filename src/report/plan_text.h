// The JSON of `flywheel plan` as people read it.
#pragma once

#include "base/json_fwd.h"

namespace flywheel::report {

void print_plan(const OrderedJson& json);  // on stdout

}  // namespace flywheel::report
