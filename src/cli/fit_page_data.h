// What the page of `flywheel fit --report` shows: the fit's JSON with every run, the frontier, the backtests one by
// one, the allocation, and in words what can and what cannot be concluded. The page's side: web/src/fit/data.ts.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/fit_result.h"

namespace flywheel::cli {

// `json`: result_json() of the same result.
OrderedJson fit_page_data(const FitCommand& command, const FitResult& result, const OrderedJson& json);

}  // namespace flywheel::cli
