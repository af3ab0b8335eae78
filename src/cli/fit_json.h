// Everything `flywheel fit` finds out, as the JSON object that it prints (docs/fit.md): one small function per part.
#pragma once

#include <vector>

#include "base/json.h"
#include "cli/fit_result.h"

namespace flywheel::cli {

// `wanted`: the sizes of --predict.
OrderedJson result_json(const FitResult& result, const std::vector<scaling::Point>& wanted);
OrderedJson shared_exponents_json(const FitCommand& command, const std::vector<FitResult>& results);

}  // namespace flywheel::cli
