// Robust fit of one form: sum of weighted Huber losses of log residuals plus a normal prior, by damped Newton steps
// with the exact Hessian. Why not least squares: a few bad runs must not move a law, and with delta 1e-3 the objective
// is nearly the absolute error, so the transition is approached through a sequence of falling deltas. Thread safe.
#pragma once

#include <vector>

#include "scaling/laws/form.h"

namespace flywheel::scaling {

struct Objective {
  const Form& form;
  const Sample& sample;
  double huber_delta;
  std::vector<PriorTerm> prior;
  double prior_weight;  // multiplies 0.5 ((theta - mean) / sd)^2

  double value(const Theta& theta) const;
};

struct Minimum {
  Theta theta;
  double value;
  int starts = 0;  // that the search compared
};

// How far a descent at the objective's own delta goes: to the last digits, or to a ten-millionth of the objective.
enum class Effort { kFull, kResample };

// From one start, delta falling to the objective's own from `first_delta`.
Minimum minimise(const Objective& objective, Theta start, double first_delta, Effort effort = Effort::kFull);
// Over the form's starts: the best few that differ are polished. An empty theta: no start gives a finite value.
Minimum minimise_globally(const Objective& objective);

}  // namespace flywheel::scaling
