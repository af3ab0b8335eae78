#include "scaling/curves/curve_forecast.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

std::vector<std::vector<size_t>> sizes_of(std::span<const Curve> curves) {
  std::map<double, std::vector<size_t>> by_size;
  for (size_t c = 0; c < curves.size(); ++c) by_size[curves[c].N].push_back(c);
  std::vector<std::vector<size_t>> groups;
  for (const auto& [N, group] : by_size) groups.push_back(group);
  return groups.size() > 1 ? groups : std::vector<std::vector<size_t>>{};
}

// The longest runs predicted from the others and from their own beginnings, as far as the others go and they are level.
GroupErrors longest_out(std::span<const Curve> curves, const CurveFitOptions& options) {
  double longest = 0, cut = 0;
  for (const Curve& curve : curves)
    if (!curve.losses.empty()) longest = std::max(longest, curve.losses.back().step);
  for (const Curve& curve : curves)
    if (!curve.losses.empty() && curve.losses.back().step < 0.9 * longest)
      cut = std::max(cut, curve.losses.back().step);
  std::vector<Curve> with_beginnings(curves.begin(), curves.end());
  std::vector<size_t> held;
  for (size_t c = 0; c < curves.size(); ++c) {
    if (curves[c].losses.empty() || curves[c].losses.back().step <= cut) continue;
    held.push_back(c);
    const Schedule schedule(curves[c].rates);
    Curve beginning = curves[c];
    while (!beginning.losses.empty() && (beginning.losses.back().step > cut ||
                                         schedule.rate_at(beginning.losses.back().step) < 0.99 * schedule.peak()))
      beginning.losses.pop_back();
    if (beginning.losses.size() >= 5) with_beginnings.push_back(std::move(beginning));
  }
  return cut > 0 ? leave_groups_out(with_beginnings, {held}, options) : GroupErrors{};
}

}  // namespace

std::string_view name_of(HeldOutFor held) {
  static constexpr std::string_view kNames[] = {"curves", "schedules", "sizes", "lengths", "none"};
  return kNames[static_cast<size_t>(held)];
}

CurveForecaster curve_forecaster(std::span<const Curve> curves, const CurveFitOptions& options) {
  CurveForecaster best;
  double least = INFINITY;
  std::vector<std::vector<size_t>> shapes = schedule_shapes(curves);
  if (shapes.size() < 2) shapes.clear();
  for (const CurveForm form : kCurveForms) {
    CurveFitOptions trying = options;
    trying.form = form;
    CurveForecaster one;
    one.law = fit_curves(curves, trying);
    trying.warm = one.law.theta;
    // A form that knows no schedule is no forecaster where none has been tested.
    if (form != CurveForm::kMultiPower && !one.law.decay_seen) continue;
    one.one_out = leave_one_out(curves, trying);
    one.new_schedule = leave_groups_out(curves, shapes, trying);
    GroupErrors both = one.one_out;
    both.errors.insert(both.errors.end(), one.new_schedule.errors.begin(), one.new_schedule.errors.end());
    const double off = both.errors.empty() ? INFINITY : both.final_rms();
    if (form == CurveForm::kMultiPower || off < least) best = std::move(one), least = off;
  }
  CurveFitOptions chosen = options;
  chosen.form = best.law.layout.form;
  chosen.warm = best.law.theta;
  best.new_size = leave_groups_out(curves, sizes_of(curves), chosen);
  best.longer = longest_out(curves, chosen);
  best.fitted.assign(curves.begin(), curves.end());
  return best;
}

CurvePrediction forecast_end(const CurveForecaster& forecaster, const Curve& curve) {
  CurvePrediction prediction;
  prediction.name = curve.name;
  prediction.step = curve.last_step();
  prediction.loss = forecaster.law.predict(curve, std::span(&prediction.step, 1)).front();

  std::vector<Curve> with = forecaster.fitted;
  std::erase_if(with, [&](const Curve& fitted) {  // a run under way has not shown its schedule yet
    return fitted.losses.empty() || fitted.losses.back().step < 0.99 * fitted.last_step();
  });
  bool size_known = false;
  for (const Curve& fitted : with) size_known = size_known || std::abs(fitted.N - curve.N) <= 0.01 * curve.N;
  with.push_back(curve);
  bool shape_known = true;
  for (const std::vector<size_t>& group : schedule_shapes(with))
    if (group == std::vector<size_t>{with.size() - 1}) shape_known = false;

  double half = 0;
  const auto widen = [&](const GroupErrors& errors, HeldOutFor what) {
    const double width = errors.groups == 0
                             ? std::numeric_limits<double>::quiet_NaN()
                             : student_quantile(0.95, static_cast<double>(errors.groups)) * errors.final_rms();
    if (std::isnan(half) || width <= half) return;
    half = width;
    prediction.basis = std::isnan(width) ? HeldOutFor::kNone : what;
  };
  widen(forecaster.one_out, HeldOutFor::kCurves);
  if (!shape_known) widen(forecaster.new_schedule, HeldOutFor::kSchedules);
  if (!size_known) widen(forecaster.new_size, HeldOutFor::kSizes);
  if (prediction.step > 1.05 * forecaster.law.longest) widen(forecaster.longer, HeldOutFor::kLengths);
  prediction.low = prediction.loss * std::exp(-half);
  prediction.high = prediction.loss * std::exp(half);
  return prediction;
}

}  // namespace flywheel::scaling
