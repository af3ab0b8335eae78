// Rolling-origin backtests: what would this ladder's lower part have said about its upper part?
#include "scaling/forecast/backtest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/statistics.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kFewestOfAFit = 6;

}  // namespace

std::vector<std::vector<size_t>> compute_levels(std::span<const Point> points) {
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return flops_of(points[a]) < flops_of(points[b]); });
  std::vector<std::vector<size_t>> levels;
  double first = 0, previous = 0;
  for (const size_t i : order) {
    const double flops = flops_of(points[i]);
    if (levels.empty() || flops > 1.2 * previous || flops > 2 * first) {
      levels.emplace_back();
      first = flops;
    }
    levels.back().push_back(i);
    previous = flops;
  }
  return levels;
}

std::vector<BacktestRow> backtest(std::span<const Point> points, const Beliefs& beliefs) {
  const std::vector<std::vector<size_t>> levels = compute_levels(points);
  std::vector<BacktestRow> rows;
  std::vector<Point> below;
  for (size_t cut = 0; cut < levels.size(); ++cut) {
    if (cut >= kBacktestLevels && below.size() >= kFewestOfAFit) {
      const Forecaster forecaster(below, beliefs);
      for (size_t held = cut; held < levels.size(); ++held) {
        BacktestRow row;
        row.train_below_flops = flops_of(points[levels[cut].front()]);
        row.measured = INFINITY;
        Optimum forecast;
        for (const size_t i : levels[held]) {
          const Point& p = points[i];
          row.measured = std::min(row.measured, p.L);
          row.held_out_flops = std::max(row.held_out_flops, flops_of(p));
          const Optimum one = forecaster.predict(p.N, p.D, p.aspect);
          const double deviations = 2 * kNormal90 * std::log(p.L / one.loss) / std::log(one.high / one.low);
          row.mean_square +=
              std::min(deviations * deviations, kLargestSquare) / static_cast<double>(levels[held].size());
          if (forecast.loss == 0 || one.loss < forecast.loss) forecast = one;
        }
        row.predicted = forecast.loss;
        row.low = forecast.low;
        row.high = forecast.high;
        row.error_percent = 100 * (row.predicted - row.measured) / row.measured;
        row.inside = row.low <= row.measured && row.measured <= row.high;
        row.decades = std::max(0.0, std::log10(row.held_out_flops / forecaster.highest_flops()));
        row.points = static_cast<int>(below.size());
        row.share = static_cast<double>(below.size()) / static_cast<double>(points.size());
        rows.push_back(row);
      }
    }
    for (const size_t i : levels[cut]) below.push_back(points[i]);
  }
  return rows;
}

}  // namespace flywheel::scaling
