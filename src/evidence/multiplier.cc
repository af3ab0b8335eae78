#include "evidence/multiplier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

// Standard deviation of ln multiplier that its 90% interval stands for, and what a straight line misses of a rung.
double log_sd(const Interval& multiplier) {
  const double low = std::max(multiplier.low, 1e-3), high = std::min(multiplier.high, 1e3);
  return std::hypot(std::log(high / low) / (2 * kNormal90), kRungSpread);
}

}  // namespace

Interval compute_multiplier(double base_loss, Slope slope, const Interval& difference) {
  CHECK(base_loss > 0);
  const auto at = [&](double change, double steepness) {
    const double ratio = std::max(1 + change / base_loss, 1e-6);
    return steepness < 0 ? std::exp(std::log(ratio) / steepness) : (change < 0 ? INFINITY : 0);
  };
  Interval result{at(difference.value, slope.value), 0, 0};
  // Both uncertainties at once, independent: the ends of the difference, and of the slope, in quadrature of ln m.
  const double centre = std::log(result.value);
  const auto end = [&](double change, bool upper) {
    const double by_change = std::log(at(change, slope.value)) - centre;
    const double gentle = std::min(slope.value + kNormal90 * slope.sd, 0.0);
    const double steep = slope.value - kNormal90 * slope.sd;
    // A gentler slope moves every multiplier away from 1, on the change's own side.
    const bool away = upper == (centre > 0);
    const double by_slope = std::log(at(difference.value, away ? gentle : steep)) - centre;
    if (!std::isfinite(by_slope) || !std::isfinite(by_change)) return upper ? INFINITY : 0.0;
    return std::exp(centre + (upper ? 1 : -1) * std::hypot(by_change, by_slope));
  };
  result.low = end(difference.high, false);
  result.high = end(difference.low, true);
  return result;
}

Interval at_equal_cost(const Interval& multiplier, const Interval& cost) {
  const auto end = [&](double of_multiplier, double of_cost) {
    if (!(of_multiplier > 0) || !std::isfinite(of_multiplier)) return of_multiplier > 0 ? INFINITY : 0.0;
    if (!std::isfinite(multiplier.value)) return of_multiplier / of_cost;  // a bound: both ends at their worst
    const double spread = std::hypot(std::log(of_multiplier / multiplier.value), std::log(of_cost / cost.value));
    return multiplier.value / cost.value * std::exp(of_multiplier < multiplier.value ? -spread : spread);
  };
  return {multiplier.value / cost.value, end(multiplier.low, cost.high), end(multiplier.high, cost.low)};
}

Extrapolation extrapolate(std::span<const RungEffect> rungs, double target_flops) {
  CHECK(!rungs.empty());
  Extrapolation result;
  const double target = std::log(target_flops);
  double w = 0, x = 0, y = 0;
  for (const RungEffect& rung : rungs) {
    const double weight = 1 / std::pow(log_sd(rung.multiplier), 2);
    w += weight, x += weight * std::log(rung.flops), y += weight * std::log(rung.multiplier.value);
  }
  x /= w, y /= w;
  double xx = 0, xy = 0;
  for (const RungEffect& rung : rungs) {
    const double weight = 1 / std::pow(log_sd(rung.multiplier), 2), dx = std::log(rung.flops) - x;
    xx += weight * dx * dx, xy += weight * dx * (std::log(rung.multiplier.value) - y);
  }
  // Two noisy rungs hardly determine a slope; the prior keeps it near 0.
  const double believed = 1 / std::pow(kMultiplierDrift / std::log(10.0), 2);
  const double slope = xy / (xx + believed), far = target - x;
  const double centre = y + slope * far;
  const double variance = 1 / w + far * far / (xx + believed);
  const double half = kNormal90 * std::sqrt(variance);
  result.multiplier = {std::exp(centre), std::exp(centre - half), std::exp(centre + half)};

  const bool helps = std::any_of(rungs.begin(), rungs.end(), [](const RungEffect& r) { return r.multiplier.low > 1; });
  const bool hurts = std::any_of(rungs.begin(), rungs.end(), [](const RungEffect& r) { return r.multiplier.high < 1; });
  result.flips = helps && hurts;
  if (result.flips)
    result.warning = "the ranking flips between rungs: it helps on one and hurts on another";
  else if (rungs.size() > 1 && rungs.back().multiplier.high < rungs.front().multiplier.low)
    result.warning = fmt::format("worth less on the higher rung: {:.2f}x at {:.2g} FLOPs, {:.2f}x at {:.2g}",
                                 rungs.front().multiplier.value, rungs.front().flops, rungs.back().multiplier.value,
                                 rungs.back().flops);
  return result;
}

}  // namespace flywheel::evidence
