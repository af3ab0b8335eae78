#include "scaling/curves/curve_backtest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

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
  const double warmup_end = Schedule(curve.rates).warmup_end();
  std::vector<double> steps, measured, absolute;
  for (const LossPoint& point : curve.losses)
    if (point.step > warmup_end && point.step >= options.skip * law.shortest)
      steps.push_back(point.step), measured.push_back(point.loss);
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

double GroupErrors::final_rms() const {
  double squares = 0;
  for (const CurveError& error : errors) squares += std::pow(std::log1p(error.final), 2);
  return std::sqrt(squares / static_cast<double>(errors.size()));
}

GroupErrors leave_groups_out(std::span<const Curve> curves, const std::vector<std::vector<size_t>>& groups,
                             const CurveFitOptions& options) {
  GroupErrors result;
  for (const std::vector<size_t>& group : groups) {
    std::set<double> sizes;
    size_t others = 0;
    for (size_t c = 0; c < curves.size(); ++c)
      if (std::find(group.begin(), group.end(), c) == group.end() && !curves[c].losses.empty())
        sizes.insert(curves[c].N), ++others;
    const bool told = std::all_of(group.begin(), group.end(),
                                  [&](size_t c) { return sizes.size() > 1 || sizes.contains(curves[c].N); });
    if (others < 2 || !told) continue;
    HeldOut held = hold_out(curves, group, options);
    if (held.errors.empty() || (!held.decay_seen && options.form != CurveForm::kTokens)) continue;
    result.errors.insert(result.errors.end(), held.errors.begin(), held.errors.end());
    ++result.groups;
  }
  return result;
}

GroupErrors leave_one_out(std::span<const Curve> curves, const CurveFitOptions& options) {
  std::vector<std::vector<size_t>> each;
  for (size_t c = 0; c < curves.size(); ++c) each.push_back({c});
  return leave_groups_out(curves, each, options);
}

}  // namespace flywheel::scaling
