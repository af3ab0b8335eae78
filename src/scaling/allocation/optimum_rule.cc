#include "scaling/allocation/optimum_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/allocation/line.h"

namespace flywheel::scaling {
namespace {

void take_path(std::span<const Point> points, OptimumRule& rule) {
  std::vector<double> x, y, ones;
  for (const std::vector<size_t>& level : compute_levels(points)) {
    const size_t best =
        *std::min_element(level.begin(), level.end(), [&](size_t a, size_t b) { return points[a].L < points[b].L; });
    x.push_back(std::log(flops_of(points[best])));
    y.push_back(std::log(points[best].N));
    ones.push_back(1);
  }
  if (x.back() - x.front() > std::log(1.5)) {
    const Line line = weighted_line(x, y, ones);
    rule.path_slope = std::clamp(line.slope, 0.0, 1.0);
  }
  const double n = static_cast<double>(x.size());
  for (size_t i = 0; i < x.size(); ++i) rule.path_intercept += (y[i] - rule.path_slope * x[i]) / n;
}

}  // namespace

double OptimumRule::ladder_size(double flops) const {
  return std::exp(path_intercept + path_slope * std::log(flops));
}

bool OptimumRule::reaches(double flops) const {
  return flops <= reach_flops * (1 + 1e-9);
}

Optimum OptimumRule::at(const Forecaster& forecaster, double flops) const {
  return at(forecaster, flops, [&](double N) { return forecaster.flops_rule().per_token(N); });
}

Optimum OptimumRule::at(const Forecaster& forecaster, double flops, const FlopsPerToken& flops_per_token) const {
  if (!identified) {
    const double N = ladder_size(flops);
    return forecaster.predict(N, flops / flops_per_token(N));
  }
  Optimum optimum = forecaster.compute_optimal(flops, flops_per_token);
  for (const Approach& approach : approaches) {
    if (!approach.missing.empty()) continue;
    optimum.N_low = std::min(optimum.N_low, approach.size_at(flops));
    optimum.N_high = std::max(optimum.N_high, approach.size_at(flops));
  }
  return optimum;
}

OptimumRule optimum_of(std::span<const Point> points, const Forecaster& forecaster, const Fit* parametric) {
  check_points(points);
  OptimumRule rule;
  rule.model = "law with a model of its misfit";
  rule.lowest_flops = INFINITY;
  for (const Point& p : points) {
    rule.lowest_flops = std::min(rule.lowest_flops, flops_of(p));
    rule.highest_flops = std::max(rule.highest_flops, flops_of(p));
  }
  const double span = std::log10(rule.highest_flops / rule.lowest_flops);
  rule.reach_flops = rule.highest_flops * std::pow(10.0, std::min(kMostDecades, 2 * span));
  take_path(points, rule);
  rule.approaches = {parabola_approach(points), interpolation_approach(points)};
  if (parametric != nullptr) rule.approaches.push_back(parametric_approach(*parametric));
  const Optimum here = forecaster.compute_optimal(rule.highest_flops);
  const Optimum beyond = forecaster.compute_optimal(10 * rule.highest_flops);
  rule.identified = here.N_high < 10 * here.N_low;
  rule.a.value = rule.a.low = rule.a.high = std::log10(beyond.N / here.N);
  if (!rule.identified) rule.why = "the best size is not known within a factor of 10 at the highest compute";
  return rule;
}

}  // namespace flywheel::scaling
