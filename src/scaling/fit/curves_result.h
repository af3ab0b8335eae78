// The results of fitting a set of loss curves, before they become JSON or text: each form's fit and errors, predictions
// of held-out curves, and predicted final losses of runs that are unfinished or planned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scaling/curves/curve_forecast.h"

namespace flywheel::scaling {

struct CurveErrors {
  std::vector<CurveError> curves;
  double median_percent = 0, median_final_percent = 0;  // over the curves, of absolute errors
};

struct CurveFormResult {
  CurveForm form = CurveForm::kMultiPower;
  CurveLaw law;  // of all curves; not kept where curves are held out
  CurveErrors errors;
};

struct EndForecast {
  CurvePrediction prediction;
  std::optional<double> measured;  // where the curve's losses reach its end
};

struct HeldOutResult {
  std::vector<std::string> fitted;  // names of the curves left
  bool decay_seen = true;
  std::vector<CurveFormResult> forms;
  CurveForm forecast_by = CurveForm::kMultiPower;
  std::vector<EndForecast> forecasts;  // from the curves left alone, form and interval included
};

struct CurvesResult {
  size_t curves = 0;  // with losses
  std::vector<CurveFormResult> forms;
  CurveForecaster forecaster;
  std::vector<HeldOutResult> held_out;
  // Errors of the forecaster's own tests, in its members' order; none where there was nothing to hold out.
  std::optional<CurveErrors> one_out, new_schedule, new_size, longer;
  std::vector<EndForecast> predictions;
};

struct CurvesRequest {
  std::string where;  // the curves are from, for messages
  double huber = 1e-3;
  std::vector<std::string> hold_out;  // parts of names; empty: each shape of schedule in turn
};

// `curves`: with their losses; those without any, or whose losses end before their schedule, are predicted, as are
// those `planned`. Throws kBadInput for fewer than two curves with losses, as fit_curves()
// does, and for names that hold out none or all.
CurvesResult fit_curves_result(const std::vector<Curve>& curves, const std::vector<Curve>& planned,
                               const CurvesRequest& request);

}  // namespace flywheel::scaling
