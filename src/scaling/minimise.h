// Robust fit of one form: sum of weighted Huber losses of log residuals plus a normal prior, by damped Newton steps
// with the exact Hessian. Why not least squares: a few bad runs must not move a law, and with delta 1e-3 the objective
// is nearly the absolute error, so the transition is approached through a sequence of falling deltas.
#pragma once

#include <span>
#include <vector>

#include "scaling/form.h"

namespace flywheel::scaling {

struct Objective {
  const Form& form;
  const Sample& sample;
  std::span<const double> weights;  // one per run; 0 drops it
  double huber_delta;
  std::vector<PriorTerm> prior;
  double prior_weight;  // multiplies 0.5 ((theta - mean) / sd)^2

  double value(const Theta& theta) const;
};

struct Minimum {
  Theta theta;
  double value;
};

// From one start, delta falling to the objective's own from `first_delta`.
Minimum minimise(const Objective& objective, Theta start, double first_delta);
// Over the form's starts: the best few by objective value are polished.
Minimum minimise_globally(const Objective& objective);

}  // namespace flywheel::scaling
