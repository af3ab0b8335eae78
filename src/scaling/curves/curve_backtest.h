// Held-out errors of a curve law and the prediction intervals derived from them. A law with seven parameters fits
// almost any curves; only held-out schedules and lengths show how well it predicts. Pure functions, deterministic,
// thread safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scaling/curves/curve_law.h"

namespace flywheel::scaling {

// Error of one curve: predicted over measured, minus 1. Points as in the fit: after the warm-up and options.skip of the
// shortest curve.
struct CurveError {
  std::string name;
  double median_absolute = 0, worst_absolute = 0;
  double final = 0, predicted = 0, measured = 0;  // at the last loss measured
  bool held_out = false;
  bool inside_data = true;  // no longer than the curves fitted
};
// Throws kBadInput for a curve without a loss after the warm-up.
CurveError curve_error(const CurveLaw& law, const Curve& curve, const CurveFitOptions& options);

// Curves by the shape of their schedule: rate over peak at equal shares of what follows the warm-up, to within a few
// percent.
std::vector<std::vector<size_t>> schedule_shapes(std::span<const Curve> curves);

struct HeldOut {
  std::vector<std::string> fitted;
  std::vector<CurveError> errors;  // of the held-out curves
  bool decay_seen = true;          // of the fitted ones; false: the prediction of a decay is a prior's
};
// Fits on the curves that are not in `held`, predicts those that are.
HeldOut hold_out(std::span<const Curve> curves, const std::vector<size_t>& held, const CurveFitOptions& options);

// Errors of groups of curves, each predicted without any of its group.
struct GroupErrors {
  std::vector<CurveError> errors;
  size_t groups = 0;         // that were held out: errors within a group are not independent
  double final_rms() const;  // of the ends, in log loss; the mean is taken as 0
};
// Groups whose others show no decay, are fewer than two, or are all of one other size than theirs, are left out.
GroupErrors leave_groups_out(std::span<const Curve> curves, const std::vector<std::vector<size_t>>& groups,
                             const CurveFitOptions& options);
// Each curve a group of its own.
GroupErrors leave_one_out(std::span<const Curve> curves, const CurveFitOptions& options);

}  // namespace flywheel::scaling
