#include "evidence/curve_stopping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kNearest = 5;
constexpr int kGrid = 256;

// The loss of a curve at a fraction, between its points; empty where it does not reach.
std::optional<double> loss_at(std::span<const CurveSample> curve, double fraction) {
  if (curve.empty() || curve.front().fraction > fraction || curve.back().fraction < fraction) return std::nullopt;
  for (size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].fraction < fraction) continue;
    if (i == 0 || curve[i].fraction == fraction) return curve[i].loss;
    const double t = (fraction - curve[i - 1].fraction) / (curve[i].fraction - curve[i - 1].fraction);
    return curve[i - 1].loss + t * (curve[i].loss - curve[i - 1].loss);
  }
  return std::nullopt;
}

enum class Predictor { kNeighbours, kPowerLaw };

std::optional<double> predict(Predictor predictor, std::span<const CurveSample> curve, std::span<const Curve> finished,
                              std::optional<size_t> left_out) {
  return predictor == Predictor::kNeighbours ? neighbours_end(curve, finished, left_out) : power_law_end(curve);
}

}  // namespace

std::optional<double> power_law_end(std::span<const CurveSample> curve) {
  if (curve.size() < 4) return std::nullopt;
  const std::span<const CurveSample> used = curve.subspan(curve.size() / 3);
  double best_error = 0, best_end = 0;
  bool found = false;
  // Linear in a and b for a given c.
  for (double c = 0.1; c <= 1.01; c += 0.1) {
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (const CurveSample& p : used) {
      const double x = std::pow(p.fraction, -c);
      n += 1, sx += x, sy += p.loss, sxx += x * x, sxy += x * p.loss;
    }
    const double determinant = n * sxx - sx * sx;
    if (determinant <= 0) continue;
    const double b = (n * sxy - sx * sy) / determinant, a = (sy - b * sx) / n;
    if (b <= 0) continue;
    double error = 0;
    for (const CurveSample& p : used) error += std::pow(p.loss - a - b * std::pow(p.fraction, -c), 2);
    if (!found || error < best_error) best_error = error, best_end = a + b, found = true;
  }
  if (!found) return std::nullopt;
  return best_end;
}

std::optional<double> neighbours_end(std::span<const CurveSample> curve, std::span<const Curve> finished,
                                     std::optional<size_t> left_out) {
  std::vector<std::pair<double, double>> passed;  // distance, further fall
  for (size_t i = 0; i < finished.size(); ++i) {
    if (left_out == i || finished[i].empty()) continue;
    const auto then = loss_at(finished[i], curve.back().fraction);
    if (then) passed.emplace_back(std::abs(*then - curve.back().loss), *then - finished[i].back().loss);
  }
  if (passed.empty()) return std::nullopt;
  const size_t nearest = std::min(kNearest, passed.size());
  std::partial_sort(passed.begin(), passed.begin() + static_cast<std::ptrdiff_t>(nearest), passed.end());
  std::vector<double> falls;
  for (size_t i = 0; i < nearest; ++i) falls.push_back(passed[i].second);
  return curve.back().loss - upper_median(std::move(falls));
}

CurveVerdict judge_curve(std::span<const CurveSample> curve, std::span<const Curve> finished, double loss_to_beat,
                         double error_rate) {
  const double fraction = curve.back().fraction;
  CurveVerdict verdict;
  verdict.predicted = curve.back().loss;
  double best_error = 0;
  std::vector<double> errors;
  for (const Predictor predictor : {Predictor::kNeighbours, Predictor::kPowerLaw}) {
    const auto end = predict(predictor, curve, finished, std::nullopt);
    if (!end) continue;
    std::vector<double> found;
    for (size_t i = 0; i < finished.size(); ++i) {
      Curve beginning;
      for (const CurveSample& p : finished[i])
        if (p.fraction <= fraction) beginning.push_back(p);
      if (beginning.empty()) continue;
      const auto guess = predict(predictor, beginning, finished, i);
      if (guess) found.push_back(finished[i].back().loss - *guess);
    }
    if (found.size() < 2) continue;
    std::vector<double> sizes;
    for (const double e : found) sizes.push_back(std::abs(e));
    const double error = upper_median(std::move(sizes));
    // The predictor that saw more curves decides; of two that saw as many, the one that erred less.
    if (found.size() < errors.size() || (found.size() == errors.size() && error >= best_error)) continue;
    best_error = error;
    verdict.predicted = *end;
    errors = std::move(found);
  }
  if (errors.empty()) {
    verdict.why = "no finished curves to judge by";
    return verdict;
  }
  double below = 1, squares = 0;
  for (const double e : errors) below += verdict.predicted + e <= loss_to_beat ? 1 : 0, squares += e * e;
  verdict.chance = below / static_cast<double>(errors.size() + 1);
  verdict.sd = std::sqrt(squares / static_cast<double>(errors.size()));
  verdict.stop = verdict.chance <= error_rate;
  verdict.why =
      fmt::format("at {:.0f}% its end is predicted at {:.4g} +- {:.2g}, to beat {:.4g}: chance at most {:.3f}",
                  100 * fraction, verdict.predicted, verdict.sd, loss_to_beat, verdict.chance);
  return verdict;
}

std::optional<double> stopping_loss(std::span<const Curve> finished, double fraction, double loss_to_beat,
                                    double error_rate) {
  std::vector<double> errors, seen;
  for (size_t i = 0; i < finished.size(); ++i) {
    const auto then = loss_at(finished[i], fraction);
    if (!then) continue;
    seen.push_back(*then);
    const CurveSample here[] = {{fraction, *then}};
    if (const auto guess = neighbours_end(here, finished, i)) errors.push_back(finished[i].back().loss - *guess);
  }
  if (errors.empty()) return std::nullopt;
  // The chance bound of judge_curve, turned around: the predicted end must lie above this.
  const auto tolerated = static_cast<int>(std::floor(error_rate * static_cast<double>(errors.size() + 1) + 1e-9)) - 1;
  if (tolerated < 0) return std::nullopt;
  std::sort(errors.begin(), errors.end());
  const double lowest = loss_to_beat - errors[static_cast<size_t>(tolerated)];
  // Predicted ends need not rise with the loss: the highest loss that may still win, on a grid over what was seen.
  const auto [low, high] = std::minmax_element(seen.begin(), seen.end());
  const double step = (*high - *low) / kGrid;
  const auto end_of = [&](double loss) {
    const CurveSample here[] = {{fraction, loss}};
    return *neighbours_end(here, finished);
  };
  // Above all that was seen the neighbours stay the same, and the predicted end rises with the loss.
  const double top = end_of(*high);
  if (top <= lowest) return *high + (lowest - top);
  for (int i = kGrid - 1; i >= 0; --i)
    if (end_of(*low + i * step) <= lowest) return *low + (i + 1) * step;
  return *low;
}

}  // namespace flywheel::evidence
