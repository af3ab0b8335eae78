// The results of a fit as the JSON object that `flywheel fit --json` prints (docs/fit.md): one small function per part.
#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "scaling/allocation/optimum_rule.h"
#include "scaling/fit/fit_result.h"

namespace flywheel::report {

// The object `optimum` of fit, plan and report.
OrderedJson optimum_json(const scaling::OptimumRule& rule);
// Sets `params` and `tokens` (null where no optimum is identified), `along` (optimum, ladder) and, along the ladder,
// `path`: the params and tokens that the forecast is for.
void add_size(OrderedJson& row, const scaling::OptimumRule& rule, double params, double tokens);

OrderedJson fit_json(const scaling::FitResult& result);
// `form`: the one fitted with exponents in common, a fit for each result.
OrderedJson shared_exponents_json(const std::string& form, const std::vector<scaling::FitResult>& results,
                                  const std::vector<scaling::Fit>& fits);

}  // namespace flywheel::report
