#include "scaling/trend.h"

#include <algorithm>
#include <cmath>

#include "scaling/isoflop.h"
#include "scaling/statistics.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kLastLevels = 4;

}  // namespace

double Trend::loss(double flops) const {
  return std::exp(ln_loss + slope * (std::log(flops) - ln_flops));
}

Trend frontier_trend(std::span<const Point> points) {
  const auto levels = compute_levels(points);
  Trend trend;
  if (levels.size() < 3) return trend;
  const size_t used = std::min(kLastLevels, levels.size());
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, last = 0;
  for (size_t i = levels.size() - used; i < levels.size(); ++i) {
    std::vector<Point> level;
    double x = 0;
    for (const size_t index : levels[i]) {
      level.push_back(points[index]);
      x += std::log(points[index].C > 0 ? points[index].C : 6 * points[index].N * points[index].D);
    }
    x /= static_cast<double>(level.size());
    const double y = std::log(isoflop_minimum(level, 1, 0).L);
    n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y, last = x;
  }
  trend.slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  trend.ln_flops = last;
  trend.ln_loss = sy / n + trend.slope * (last - sx / n);
  trend.levels = static_cast<int>(used);
  return trend;
}

Optimum blend(const Fit& fit, const Trend& trend, double flops, const Optimum& law) {
  const double decades = std::log10(flops / fit.highest_flops);
  if (trend.levels == 0 || decades <= 0) return law;
  const double weight = 0.5 * std::min(1.0, decades / kFullBlendDecades);
  const double difference = std::log(trend.loss(flops) / law.loss);
  const double centre = std::log(law.loss) + weight * difference;
  const auto widened = [&](double bound) {
    const double law_width = std::log(bound / law.loss);
    return std::hypot(law_width, kNormal90 * 0.5 * difference);
  };
  Optimum blended = law;
  blended.loss = std::exp(centre);
  blended.low = std::exp(centre - widened(law.low));
  blended.high = std::exp(centre + widened(law.high));
  return blended;
}

}  // namespace flywheel::scaling
