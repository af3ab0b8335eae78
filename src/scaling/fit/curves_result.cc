#include "scaling/fit/curves_result.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kMostPoints = 200;  // of a curve: more are averaged

CurveErrors summary_of(std::vector<CurveError> errors) {
  std::vector<double> curve, final;
  for (const CurveError& error : errors) {
    curve.push_back(100 * error.median_absolute);
    final.push_back(100 * std::abs(error.final));
  }
  return {std::move(errors), median(std::move(curve)), median(std::move(final))};
}

std::optional<CurveErrors> summary_of(const GroupErrors& errors) {
  if (errors.groups == 0) return std::nullopt;
  return summary_of(errors.errors);
}

// The sets of curves to hold out: those named, else each shape of schedule in turn.
std::vector<std::vector<size_t>> held_sets(const std::vector<Curve>& curves, const std::vector<std::string>& names) {
  if (names.empty()) {
    std::vector<std::vector<size_t>> shapes = schedule_shapes(curves);
    return shapes.size() > 1 ? shapes : std::vector<std::vector<size_t>>{};
  }
  std::vector<size_t> held;
  for (size_t c = 0; c < curves.size(); ++c)
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& n) { return curves[c].name.find(n) != std::string::npos; }))
      held.push_back(c);
  if (held.empty() || held.size() == curves.size())
    throw_bad_input("--hold-out {}: {} of {} curves have such names; expected some and not all", fmt::join(names, ","),
                    held.size(), curves.size());
  return {held};
}

EndForecast end_of(const CurveForecaster& forecaster, const Curve& curve) {
  EndForecast end{forecast_end(forecaster, curve), std::nullopt};
  if (!curve.losses.empty() && curve.losses.back().step >= 0.99 * end.prediction.step)
    end.measured = curve.losses.back().loss;
  return end;
}

HeldOutResult held_out_result(const std::vector<Curve>& curves, const std::vector<size_t>& held,
                              CurveFitOptions options) {
  HeldOutResult result;
  for (const CurveForm form : kCurveForms) {
    options.form = form;
    HeldOut one = hold_out(curves, held, options);
    result.fitted = one.fitted;
    result.decay_seen = result.decay_seen && one.decay_seen;
    result.forms.push_back({form, {}, summary_of(std::move(one.errors))});
  }
  std::vector<Curve> kept;
  for (size_t c = 0; c < curves.size(); ++c)
    if (std::find(held.begin(), held.end(), c) == held.end()) kept.push_back(curves[c]);
  const CurveForecaster forecaster = curve_forecaster(kept, options);
  result.forecast_by = forecaster.law.layout.form;
  for (const size_t c : held) result.forecasts.push_back(end_of(forecaster, curves[c]));
  return result;
}

}  // namespace

CurvesResult fit_curves_result(const std::vector<Curve>& curves, const std::vector<Curve>& planned,
                               const CurvesRequest& request) {
  std::vector<Curve> measured, wanted;
  for (const Curve& curve : curves) {
    if (!curve.losses.empty()) {
      measured.push_back(curve);
      measured.back().losses = averaged(curve.losses, kMostPoints);
    }
    if (curve.losses.empty() || curve.losses.back().step < curve.last_step()) wanted.push_back(curve);
  }
  if (measured.size() < 2)
    throw_bad_input(
        "{}: 1 curve with losses; a law over schedules needs at least two that differ in schedule or length",
        request.where);
  wanted.insert(wanted.end(), planned.begin(), planned.end());
  CurveFitOptions fitting;
  fitting.huber_delta = request.huber;

  CurvesResult result;
  result.curves = measured.size();
  for (const CurveForm form : kCurveForms) {
    fitting.form = form;
    CurveLaw law = fit_curves(measured, fitting);
    std::vector<CurveError> errors;
    for (const Curve& curve : measured) errors.push_back(curve_error(law, curve, fitting));
    result.forms.push_back({form, std::move(law), summary_of(std::move(errors))});
  }
  result.forecaster = curve_forecaster(measured, fitting);
  for (const std::vector<size_t>& held : held_sets(measured, request.hold_out))
    result.held_out.push_back(held_out_result(measured, held, fitting));
  result.one_out = summary_of(result.forecaster.one_out);
  result.new_schedule = summary_of(result.forecaster.new_schedule);
  result.new_size = summary_of(result.forecaster.new_size);
  result.longer = summary_of(result.forecaster.longer);
  for (const Curve& curve : wanted) result.predictions.push_back(end_of(result.forecaster, curve));
  return result;
}

}  // namespace flywheel::scaling
