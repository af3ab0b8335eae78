// The page of `flywheel fit RUNS.csv --report OUT.html`: the fit of a table of runs, and what can and cannot be
// concluded from it.
#pragma once

#include <string>

#include "base/json_fwd.h"

namespace flywheel::report {

// `data` has the shape of FitData in web/src/fit/data.ts, where every field but points may be missing: the page says
// what is. What embedded_page.h says of strings and numbers holds. Parameters keep the order they have in `data`.
std::string fit_page(const OrderedJson& data);

}  // namespace flywheel::report
