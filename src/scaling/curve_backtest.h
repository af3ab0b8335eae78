// How a curve law does on curves it has not seen, and the interval of its predictions that follows. Why: a law with
// seven parameters bends to any curves it is given; only held-out schedules and lengths say what it is worth. Pure
// functions, deterministic, thread safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scaling/curve_law.h"

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

// Each curve in turn predicted from all others; those whose others show no decay, or have no other length or schedule
// to tell, are left out. With one size and two curves or fewer: empty.
std::vector<CurveError> leave_one_out(std::span<const Curve> curves, const CurveFitOptions& options);

// A law for predictions, with the errors that it made on curves left out.
struct CurveForecaster {
  CurveLaw law;
  std::vector<CurveError> left_out;
};
// The form whose ends of curves left out were best (root mean square), fitted to all. The choice among four forms makes
// its errors look slightly better than they will be. Where nothing can be left out: multi_power, no errors.
CurveForecaster best_forecaster(std::span<const Curve> curves, const CurveFitOptions& options);

struct CurvePrediction {
  std::string name;
  double step = 0, loss = 0, low = 0, high = 0;  // 90%; low and high NaN when nothing was held out
};
// Loss at the end of the curve's schedule. The interval is Student's over the root mean square of the final errors of
// curves held out (their mean is taken as 0), in log loss.
CurvePrediction predict_end(const CurveLaw& law, const Curve& curve, std::span<const CurveError> held_out);

}  // namespace flywheel::scaling
