#include "scaling/allocation/levels.h"

#include <algorithm>
#include <cmath>

#include "scaling/allocation/line.h"

namespace flywheel::scaling {

std::vector<Level> levels_of(std::span<const Point> points) {
  std::vector<Level> levels;
  std::vector<double> ln_flops, ln_best, ones;
  for (const std::vector<size_t>& indices : compute_levels(points)) {
    Level level;
    double mean = 0, low = INFINITY, high = 0, best = INFINITY;
    for (const size_t i : indices) {
      const double flops = flops_of(points[i]);
      level.points.push_back(points[i]);
      mean += std::log(flops) / static_cast<double>(indices.size());
      low = std::min(low, flops), high = std::max(high, flops), best = std::min(best, points[i].L);
    }
    level.flops = std::exp(mean);
    level.spread = high / low;
    ln_flops.push_back(mean), ln_best.push_back(std::log(best)), ones.push_back(1);
    levels.push_back(std::move(level));
  }
  if (levels.size() < 2) return levels;
  const double slope = weighted_line(ln_flops, ln_best, ones).slope;
  for (Level& level : levels)
    for (Point& p : level.points) p.L *= std::pow(level.flops / flops_of(p), slope);
  return levels;
}

std::vector<Bracket> brackets_of(std::span<const Point> points) {
  constexpr double kSameSize = 1.1;
  std::vector<Bracket> brackets;
  for (Level& level : levels_of(points)) {
    std::vector<Point>& runs = level.points;
    std::sort(runs.begin(), runs.end(), [](const Point& a, const Point& b) { return a.N < b.N; });
    Bracket bracket{level.flops, runs.front().N, runs.back().N, 0, BestAt::kOneSize};
    double size = 0;
    for (const Point& p : runs)
      if (p.N > kSameSize * size) size = p.N, ++bracket.sizes;
    const double best =
        std::min_element(runs.begin(), runs.end(), [](const Point& a, const Point& b) { return a.L < b.L; })->N;
    if (bracket.sizes > 1)
      bracket.best = best < kSameSize * bracket.smallest  ? BestAt::kSmallest
                     : best > bracket.largest / kSameSize ? BestAt::kLargest
                                                          : BestAt::kInside;
    brackets.push_back(bracket);
  }
  return brackets;
}

}  // namespace flywheel::scaling
