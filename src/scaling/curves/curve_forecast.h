// Forecasts of final losses from whole curves, with intervals. The error of a forecast depends on what is new about the
// run (schedule, size, length) and is measured by holding out fitted curves in the same way. Pure functions,
// deterministic, thread safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scaling/curves/curve_backtest.h"

namespace flywheel::scaling {

struct CurveForecaster {
  CurveLaw law;
  std::vector<Curve> fitted;
  // What the fitted curves say of forecasts of: another curve like them; a schedule of another shape; a model of
  // another size; a run longer than all (from what the longer ones had shown until then, before they decayed).
  GroupErrors one_out, new_schedule, new_size, longer;
};
// The form, fitted to all curves, whose ends of single curves and of schedules held out are best (root mean square).
// The choice among four forms makes its errors look slightly better than they are. Where nothing can be held out, or no
// curve decays: multi_power. Throws as fit_curves does.
CurveForecaster curve_forecaster(std::span<const Curve> curves, const CurveFitOptions& options);

enum class HeldOutFor { kCurves, kSchedules, kSizes, kLengths, kNone };  // what was held out for an interval
std::string_view name_of(HeldOutFor held);                               // "curves", .., "none": as in JSON

struct CurvePrediction {
  std::string name;
  double step = 0, loss = 0, low = 0, high = 0;  // 90%; low and high NaN where its like could not be held out
  HeldOutFor basis = HeldOutFor::kCurves;
};
// Loss at the end of the curve's schedule. The interval is the widest that applies of Student's over the errors above,
// with a degree of freedom for each group held out.
CurvePrediction forecast_end(const CurveForecaster& forecaster, const Curve& curve);

}  // namespace flywheel::scaling
