#include "scaling/curve_backtest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "scaling/statistics.h"

namespace flywheel::scaling {
namespace {

// 95% quantile of Student's t.
double student95(size_t degrees) {
  constexpr std::array kTable = {6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812};
  if (degrees == 0) return std::numeric_limits<double>::quiet_NaN();
  if (degrees <= kTable.size()) return kTable[degrees - 1];
  return kNormal90 * (1 + 1.0 / (1.1 * static_cast<double>(degrees)));
}

// Root mean square of the final errors in log loss.
double final_rms(std::span<const CurveError> errors) {
  double squares = 0;
  for (const CurveError& error : errors) squares += std::pow(std::log1p(error.final), 2);
  return std::sqrt(squares / static_cast<double>(errors.size()));
}

constexpr int kShapePoints = 20;
std::array<double, kShapePoints> shape_of(const Curve& curve) {
  const Schedule schedule(curve.rates);
  std::array<double, kShapePoints> shape{};
  const double from = schedule.warmup_end(), span = curve.last_step() - from;
  for (int i = 0; i < kShapePoints; ++i)
    shape[static_cast<size_t>(i)] =
        schedule.rate_at(from + (0.02 + 0.96 * i / (kShapePoints - 1)) * span) / schedule.peak();
  return shape;
}

}  // namespace

CurveError curve_error(const CurveLaw& law, const Curve& curve, const CurveFitOptions& options) {
  CurveError error;
  error.name = curve.name;
  const double from = std::max(Schedule(curve.rates).warmup_end(), options.skip * law.shortest);
  std::vector<double> steps, measured, absolute;
  for (const LossPoint& point : curve.losses)
    if (point.step >= from) steps.push_back(point.step), measured.push_back(point.loss);
  if (steps.empty()) throw_bad_input("curve \"{}\": no loss after the warm-up", curve.name);
  const std::vector<double> predicted = law.predict(curve, steps);
  for (size_t i = 0; i < steps.size(); ++i) absolute.push_back(std::abs(predicted[i] / measured[i] - 1));
  error.median_absolute = quantile(absolute, 0.5);
  error.worst_absolute = *std::max_element(absolute.begin(), absolute.end());
  error.predicted = predicted.back();
  error.measured = measured.back();
  error.final = error.predicted / error.measured - 1;
  error.inside_data = steps.back() <= law.longest;
  return error;
}

std::vector<std::vector<size_t>> schedule_shapes(std::span<const Curve> curves) {
  std::vector<std::vector<size_t>> groups;
  std::vector<std::array<double, kShapePoints>> shapes;
  for (size_t c = 0; c < curves.size(); ++c) {
    const auto shape = shape_of(curves[c]);
    size_t g = 0;
    const auto same = [&](const auto& other) {
      for (size_t i = 0; i < shape.size(); ++i)
        if (std::abs(shape[i] - other[i]) > 0.05) return false;
      return true;
    };
    while (g < groups.size() && !same(shapes[g])) ++g;
    if (g == groups.size()) groups.emplace_back(), shapes.push_back(shape);
    groups[g].push_back(c);
  }
  return groups;
}

HeldOut hold_out(std::span<const Curve> curves, const std::vector<size_t>& held, const CurveFitOptions& options) {
  std::vector<Curve> kept;
  HeldOut result;
  for (size_t c = 0; c < curves.size(); ++c)
    if (std::find(held.begin(), held.end(), c) == held.end() && !curves[c].losses.empty()) {
      kept.push_back(curves[c]);
      result.fitted.push_back(curves[c].name);
    }
  const CurveLaw law = fit_curves(kept, options);
  result.decay_seen = law.decay_seen;
  for (const size_t c : held) {
    if (curves[c].losses.empty()) continue;
    result.errors.push_back(curve_error(law, curves[c], options));
    result.errors.back().held_out = true;
  }
  return result;
}

std::vector<CurveError> leave_one_out(std::span<const Curve> curves, const CurveFitOptions& options) {
  std::vector<CurveError> errors;
  if (curves.size() < 3) return errors;
  for (size_t c = 0; c < curves.size(); ++c) {
    // A size that no other curve has is an extrapolation over N that one curve cannot be blamed for.
    const bool size_known = std::any_of(curves.begin(), curves.end(), [&](const Curve& other) {
      return &other != &curves[c] && other.N == curves[c].N;
    });
    if (!size_known || curves[c].losses.empty()) continue;
    HeldOut one = hold_out(curves, {c}, options);
    if (one.decay_seen || options.form == CurveForm::kTokens) errors.push_back(one.errors.front());
  }
  return errors;
}

CurveForecaster best_forecaster(std::span<const Curve> curves, const CurveFitOptions& options) {
  CurveForecaster best;
  CurveFitOptions chosen = options;
  double least = INFINITY;
  for (const CurveForm form : kCurveForms) {
    CurveFitOptions trying = options;
    trying.form = form;
    std::vector<CurveError> errors = leave_one_out(curves, trying);
    if (errors.empty() || (!best.left_out.empty() && errors.size() != best.left_out.size())) continue;
    const double off = final_rms(errors);
    if (off < least) least = off, chosen.form = form, best.left_out = std::move(errors);
  }
  if (best.left_out.empty()) chosen.form = CurveForm::kMultiPower;
  best.law = fit_curves(curves, chosen);
  return best;
}

CurvePrediction predict_end(const CurveLaw& law, const Curve& curve, std::span<const CurveError> held_out) {
  const double step = curve.last_step();
  const double loss = law.predict(curve, std::span(&step, 1)).front();
  const double half =
      held_out.empty() ? std::numeric_limits<double>::quiet_NaN() : student95(held_out.size()) * final_rms(held_out);
  return {curve.name, step, loss, loss * std::exp(-half), loss * std::exp(half)};
}

}  // namespace flywheel::scaling
