#include "evidence/paired_runs.h"

#include <algorithm>
#include <cmath>

#include "scaling/laws/statistics.h"

namespace flywheel::evidence {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double sd_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return values.size() > 1 ? std::sqrt(sum / static_cast<double>(values.size() - 1)) : 0;
}

// 90% of Student's t about the mean; infinite for fewer than two.
Interval student90(const std::vector<double>& values) {
  static constexpr double kQuantiles[] = {6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946,
                                          1.8595, 1.8331, 1.8125, 1.7959, 1.7823, 1.7709, 1.7613};
  const double mean = mean_of(values);
  const size_t n = values.size();
  if (n < 2) return {mean, -INFINITY, INFINITY};
  const double t = n - 2 < std::size(kQuantiles) ? kQuantiles[n - 2] : 1.73;
  const double half = t * sd_of(values) / std::sqrt(static_cast<double>(n));
  return {mean, mean - half, mean + half};
}

Slope slope_between(double low_flops, const std::vector<double>& low, double high_flops,
                    const std::vector<double>& high) {
  if (low.size() < 2 || high.size() < 2) return {kUsualSlope, 0.5 * std::abs(kUsualSlope)};
  const double width = std::log(high_flops / low_flops), a = mean_of(low), b = mean_of(high);
  const double variance = std::pow(sd_of(low) / a, 2) / static_cast<double>(low.size()) +
                          std::pow(sd_of(high) / b, 2) / static_cast<double>(high.size());
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
  return mean_of(low) + std::hypot(error(low), error(high)) < mean_of(high);
}

// What lies beyond the farthest multiple is a bound.
Interval limited(Interval worth) {
  if (worth.high > kFarthestMultiple) worth.high = INFINITY;
  worth.value = std::min(worth.value, kFarthestMultiple);
  worth.low = std::min(worth.low, kFarthestMultiple);
  return worth;
}

// Better or worse is all that can be said.
Interval unsaid(const Interval& difference) {
  return {NAN, difference.high < 0 ? 1.0 : 0.0, difference.low > 0 ? 1.0 : double{INFINITY}};
}

}  // namespace

PairedEffect paired_effect(std::span<const RungPairs> rungs) {
  PairedEffect effect;
  effect.slope = slope_between(rungs.front().flops, rungs.front().base, rungs.back().flops, rungs.back().base);
  effect.slope_is_sure = rungs.front().base.size() > 1 && rungs.back().base.size() > 1 &&
                         effect.slope.value + scaling::kNormal90 * effect.slope.sd < 0;
  for (size_t i = 0; i < rungs.size(); ++i) {
    const RungPairs& rung = rungs[i];
    if (rung.difference.empty()) continue;
    const double base = mean_of(rung.base);
    const Interval difference = student90(rung.difference);
    double at_least = 0;
    std::vector<double> reached;
    for (size_t k = 0; k < rung.difference.size(); ++k) reached.push_back(rung.base[k] + rung.difference[k]);
    for (size_t above = i + 1; above < rungs.size(); ++above)
      if (surely_below(reached, rungs[above].base)) at_least = rungs[above].flops / rung.flops;
    effect.base += base;
    Interval multiplier =
        effect.slope_is_sure ? limited(compute_multiplier(base, effect.slope, difference)) : unsaid(difference);
    if (at_least > 0 && !(multiplier.value >= at_least)) multiplier.value = at_least;
    multiplier.low = std::max(multiplier.low, at_least);
    if (!(multiplier.high >= multiplier.low)) multiplier.high = INFINITY;
    effect.rungs.push_back({rung.flops, static_cast<int>(rung.difference.size()), difference, multiplier});
    effect.at_least.push_back(at_least);
  }
  if (!effect.rungs.empty()) effect.base /= static_cast<double>(effect.rungs.size());
  return effect;
}

Interval PairedEffect::worth(const Interval& difference) const {
  if (slope_is_sure && base > 0) return limited(compute_multiplier(base, slope, difference));
  return unsaid(difference);
}

Json to_json(const Interval& interval) {
  const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return {{"value", finite(interval.value)}, {"low", finite(interval.low)}, {"high", finite(interval.high)}};
}

Json to_json(const std::vector<RungEffect>& rungs) {
  Json rows = Json::array();
  for (const RungEffect& rung : rungs) {
    Json row = to_json(rung.difference);
    row["difference"] = row.at("value");
    row.erase("value");
    row["flops"] = rung.flops;
    row["pairs"] = rung.pairs;
    row["compute_multiplier"] = to_json(rung.multiplier);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace flywheel::evidence
