// Which parameters of a fitted form the runs identify. A search always returns numbers, and a bootstrap that starts
// from them finds them again: a break beyond all runs comes with a narrow interval. What tells is the curvature of the
// objective, the Gauss-Newton information of the log residuals (Seber and Wild 1989, section 2.1). Pure, thread safe.
#pragma once

#include <map>
#include <string>

#include "scaling/laws/form.h"

namespace flywheel::scaling {

// Parameter to the reason why its number means nothing; empty: all are identified. `theta` is the fit's, `residual_sd`
// the spread of log residuals about it.
std::map<std::string, std::string> not_identified(const Form& form, const Theta& theta, const Sample& sample,
                                                  double residual_sd);

}  // namespace flywheel::scaling
