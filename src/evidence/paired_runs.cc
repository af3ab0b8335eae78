#include "evidence/paired_runs.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/document_sums.h"

namespace flywheel::evidence {

namespace {

// Student's t of this level about the mean; infinite for fewer than two.
Interval student(const std::vector<double>& values, double level) {
  const double centre = mean(values);
  if (values.size() < 2) return {centre, -INFINITY, INFINITY};
  const auto n = static_cast<double>(values.size());
  const double half = student_quantile(0.5 + level / 2, n - 1) * standard_deviation(values) / std::sqrt(n);
  return {centre, centre - half, centre + half};
}

// Of the mean difference of a rung: over pairs, or by the two-sample t test with a pooled deviation.
Interval mean_difference(const RungPairs& rung) {
  if (!rung.pooled) return student(rung.difference, kWorthLevel);
  const auto n = static_cast<double>(rung.difference.size()), pool = static_cast<double>(rung.base.size());
  const double centre = mean(rung.difference), degrees = n + pool - 2;
  if (degrees < 1) return {centre, -INFINITY, INFINITY};
  const double squares = (n - 1) * std::pow(standard_deviation(rung.difference), 2) +
                         (pool - 1) * std::pow(standard_deviation(rung.base), 2);
  const double half =
      student_quantile(0.5 + kWorthLevel / 2, degrees) * std::sqrt(squares / degrees * (1 / n + 1 / pool));
  return {centre, centre - half, centre + half};
}

}  // namespace

Interval student90(const std::vector<double>& values) {
  return student(values, 0.9);
}

Slope slope_between(double low_flops, const std::vector<double>& low, double high_flops,
                    const std::vector<double>& high) {
  if (low.size() < 2 || high.size() < 2) return {kUsualSlope, 0.5 * std::abs(kUsualSlope)};
  const double width = std::log(high_flops / low_flops), a = mean(low), b = mean(high);
  const double variance = std::pow(standard_deviation(low) / a, 2) / static_cast<double>(low.size()) +
                          std::pow(standard_deviation(high) / b, 2) / static_cast<double>(high.size());
  return {std::log(b / a) / width, std::sqrt(variance) / width};
}

namespace {

// Is the one below the other beyond chance? Welch's interval, its degrees of freedom taken as the smaller group's.
bool surely_below(const std::vector<double>& low, const std::vector<double>& high) {
  if (low.size() < 2 || high.size() < 2) return false;
  const auto error = [](const std::vector<double>& values) {
    const Interval interval = student90(values);
    return interval.high - interval.value;
  };
  return mean(low) + std::hypot(error(low), error(high)) < mean(high);
}

// What lies beyond the farthest multiple, or below its reciprocal, is a bound.
Interval limited(Interval multiplier) {
  constexpr double kLeast = 1 / kFarthestMultiple;
  if (multiplier.high > kFarthestMultiple) multiplier.high = INFINITY;
  if (multiplier.low < kLeast) multiplier.low = 0;
  multiplier.value = std::clamp(multiplier.value, kLeast, kFarthestMultiple);
  multiplier.low = std::min(multiplier.low, kFarthestMultiple);
  multiplier.high = std::max(multiplier.high, kLeast);
  return multiplier;
}

// Better or worse is all that can be said.
Interval unsaid(const Interval& difference) {
  return {NAN, difference.high < 0 ? 1.0 : 0.0, difference.low > 0 ? 1.0 : double{INFINITY}};
}

Interval exactly(double value) {
  return {value, value, value};
}

// By the effect's slope, of a candidate that cost this many times the base.
Interval charged(const PairedEffect& effect, double base, const Interval& difference, const Interval& cost) {
  if (effect.slope_is_sure && base > 0)
    return limited(at_equal_cost(compute_multiplier(base, effect.slope, difference), cost));
  return at_equal_cost(unsaid(difference), cost);
}

}  // namespace

Slope common_slope(const RungPairs& low, const RungPairs& high) {
  const auto candidate = [](const RungPairs& rung) {
    std::vector<double> losses = rung.base;
    for (size_t i = 0; i < losses.size(); ++i) losses[i] += rung.difference[i];
    return losses;
  };
  const Slope a = slope_between(low.flops, low.base, high.flops, high.base);
  const Slope b = slope_between(low.flops, candidate(low), high.flops, candidate(high));
  return {0.5 * (a.value + b.value), std::hypot(0.5 * (a.sd + b.sd), 0.5 * (a.value - b.value) / kNormal90)};
}

PairedEffect paired_effect(std::span<const RungPairs> rungs, SlopeOf slope_of) {
  PairedEffect effect;
  effect.slope = slope_of == SlopeOf::kBothSides
                     ? common_slope(rungs.front(), rungs.back())
                     : slope_between(rungs.front().flops, rungs.front().base, rungs.back().flops, rungs.back().base);
  effect.slope_is_sure = rungs.front().base.size() > 1 && rungs.back().base.size() > 1 &&
                         effect.slope.value + kNormal90 * effect.slope.sd < 0;
  for (size_t i = 0; i < rungs.size(); ++i) {
    const RungPairs& rung = rungs[i];
    if (rung.difference.empty()) continue;
    const double base = mean(rung.base);
    const Interval difference = widened(mean_difference(rung), rung.sampling, kWorthLevel);
    double at_least = 0, at_most = INFINITY;
    std::vector<double> reached;
    for (size_t k = 0; k < rung.difference.size(); ++k)
      reached.push_back((rung.pooled ? base : rung.base[k]) + rung.difference[k]);
    for (size_t above = i + 1; above < rungs.size(); ++above)
      if (surely_below(reached, rungs[above].base)) at_least = rungs[above].flops / rung.flops;
    for (size_t below = i; below-- > 0;)
      if (surely_below(rungs[below].base, reached)) at_most = rungs[below].flops / rung.flops;
    effect.base += base;
    // Of the candidate's FLOPs, like the multiplier itself.
    at_least /= rung.cost, at_most /= rung.cost;
    Interval multiplier = charged(effect, base, difference, exactly(rung.cost));
    if (at_least > 0 && !(multiplier.value >= at_least)) multiplier.value = at_least;
    if (std::isfinite(at_most) && !(multiplier.value <= at_most)) multiplier.value = at_most;
    multiplier.low = std::max(multiplier.low, at_least);
    multiplier.high = std::min(multiplier.high, at_most);
    if (!(multiplier.high >= multiplier.low)) at_least > 0 ? multiplier.high = INFINITY : multiplier.low = 0;
    effect.rungs.push_back(
        {rung.flops, static_cast<int>(rung.difference.size()), difference, multiplier, rung.sampling});
    effect.at_least.push_back(at_least);
  }
  if (effect.rungs.empty()) return effect;
  const auto measured = static_cast<double>(effect.rungs.size());
  effect.base /= measured;
  double log_cost = 0;
  std::vector<double> log_times;
  for (const RungPairs& rung : rungs) {
    if (!rung.difference.empty()) log_cost += std::log(rung.cost) / measured;
    for (const double ratio : rung.time) log_times.push_back(std::log(ratio));
  }
  effect.cost = std::exp(log_cost);
  if (!log_times.empty()) {
    const Interval logs = student90(log_times);
    effect.time = {std::exp(logs.value), std::exp(logs.low), std::exp(logs.high)};
  }
  return effect;
}

Interval PairedEffect::multiplier_of(const Interval& difference) const {
  return charged(*this, base, difference, exactly(cost));
}

Interval PairedEffect::time_multiplier_of(const Interval& difference) const {
  if (std::isnan(time.value)) return {NAN, 0, INFINITY};
  return charged(*this, base, difference, time);
}

std::optional<bool> lists_agree(std::span<const RungPairs> one, std::span<const RungPairs> other) {
  CHECK(one.size() == other.size());
  const auto measured = std::count_if(one.begin(), one.end(), [](const RungPairs& r) { return !r.difference.empty(); });
  if (measured == 0) return std::nullopt;
  const double level = 1 - (1 - kWorthLevel) / static_cast<double>(measured);
  bool agree = true;
  for (size_t r = 0; r < one.size(); ++r) {
    CHECK(one[r].difference.size() == other[r].difference.size());
    if (one[r].difference.empty()) continue;
    if (!one[r].sampling || !other[r].sampling) return std::nullopt;
    std::vector<double> apart;  // what a seed does to both is not in it
    for (size_t i = 0; i < one[r].difference.size(); ++i)
      apart.push_back(other[r].difference[i] - one[r].difference[i]);
    const Interval interval = widened(widened(student(apart, level), one[r].sampling, level), other[r].sampling, level);
    if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return std::nullopt;
    agree = agree && interval.low <= 0 && interval.high >= 0;
  }
  return agree;
}

}  // namespace flywheel::evidence
