// The results of a fit as the JSON object that `flywheel fit --json` prints (docs/fit.md): one small function per part.
#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "scaling/fit/fit_result.h"

namespace flywheel::report {

OrderedJson fit_json(const scaling::FitResult& result);
// `form`: the one fitted with exponents in common, a fit for each result.
OrderedJson shared_exponents_json(const std::string& form, const std::vector<scaling::FitResult>& results,
                                  const std::vector<scaling::Fit>& fits);

}  // namespace flywheel::report
