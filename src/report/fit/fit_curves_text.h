// The results of a fit of loss curves as people read them, on standard output.
#pragma once

#include "scaling/fit/curves_result.h"

namespace flywheel::report {

void print_curves(const scaling::CurvesResult& result);

}  // namespace flywheel::report
