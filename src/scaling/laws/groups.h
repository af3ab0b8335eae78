// One law per group of runs with the exponents in common: amplitudes and E differ between data sets or tokenizers,
// while the exponents are held to be the architecture's own, and a group of few runs borrows them (after Hoffmann et
// al. 2022, appendix C, and Porian et al. 2024, who compare exponents across data). Pure, deterministic for a seed.
#pragma once

#include <span>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

// One fit per group, in order, with equal exponents: all parameters but A, B and E. Runs count alike (the plain method
// of published_options); resamples draw within each group. options.form, huber_delta, bootstrap and seed are used.
// Throws kBadInput as fit() does, and for a form of compute alone.
std::vector<Fit> fit_shared_exponents(std::span<const std::vector<Point>> groups, const FitOptions& options);

}  // namespace flywheel::scaling
