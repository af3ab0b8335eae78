// The results of a fit of loss curves as the JSON object that `flywheel fit --curves --json` prints (docs/fit.md).
#pragma once

#include "base/json_fwd.h"
#include "scaling/fit/curves_result.h"

namespace flywheel::report {

OrderedJson curves_json(const scaling::CurvesResult& result);

}  // namespace flywheel::report
