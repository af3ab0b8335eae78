// The results of a fit as people read them, on standard output.
#pragma once

#include <string>
#include <vector>

#include "scaling/fit/fit_result.h"

namespace flywheel::report {

// `page`: where the result's page was written; empty: there is none.
void print_fit(const scaling::FitResult& result, const std::string& page);
// `form`: the one fitted with exponents in common, a fit for each result.
void print_shared_exponents(const std::string& form, const std::vector<scaling::FitResult>& results,
                            const std::vector<scaling::Fit>& fits);

}  // namespace flywheel::report
