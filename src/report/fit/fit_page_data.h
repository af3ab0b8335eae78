// What the page of `flywheel fit --report` shows: the fit's JSON with every run, the frontier, the backtests one by
// one, the allocation, and in words what can and what cannot be concluded. The page's side is FitPage in
// web/src/fit/data.ts; a test holds the two against each other.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "scaling/fit/fit_result.h"

namespace flywheel::report {

struct FitOrigin {
  std::string file;     // that the runs are from
  std::string command;  // that fits them again
  std::string version;  // of the program
};

OrderedJson fit_page_data(const scaling::FitResult& result, const FitOrigin& origin);

}  // namespace flywheel::report
