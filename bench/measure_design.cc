// What choosing a rung's sizes by design saves beside a fixed isoFLOP grid: public isoFLOP ladders are climbed level by
// level as a campaign does, and the best loss of the top level is forecast from what was run below. Prints the table of
// docs/plan.md.
//   measure_design RUNS.csv...
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/statistics.h"
#include "campaign/rung_design.h"
#include "scaling/allocation/isoflop.h"
#include "scaling/tables/runs_table.h"

namespace {

using namespace flywheel::scaling;

constexpr size_t kThinnestLevel = 4, kLowestSizes = 5;

struct Outcome {
  double flops = 0, error_percent = 0;
  int runs = 0;
};

// The `count` points of a level nearest to `centre` parameters.
std::vector<Point> nearest(std::vector<Point> level, double centre, size_t count) {
  std::stable_sort(level.begin(), level.end(), [&](const Point& a, const Point& b) {
    return std::abs(std::log(a.N / centre)) < std::abs(std::log(b.N / centre));
  });
  level.resize(std::min(level.size(), count));
  return level;
}

std::vector<DesignSite> sites(const std::vector<Point>& points) {
  std::vector<DesignSite> all;
  for (const Point& p : points) all.push_back({p.N, p.D, flops_of(p)});
  return all;
}

double mean_flops(const std::vector<Point>& level) {
  double sum = 0;
  for (const Point& p : level) sum += flops_of(p) / static_cast<double>(level.size());
  return sum;
}

// sizes > 0: so many on every level; 0: by design.
Outcome climb(const std::vector<std::vector<Point>>& levels, size_t top, int sizes) {
  Outcome outcome;
  std::vector<Point> run;
  for (size_t level = 0; level < top; ++level) {
    std::vector<Point> chosen;
    if (level == 0) {
      const auto best = std::min_element(levels[0].begin(), levels[0].end(),
                                         [](const Point& a, const Point& b) { return a.L < b.L; });
      chosen = nearest(levels[0], best->N, kLowestSizes);
    } else {
      const Forecaster forecaster(run);
      const double centre = forecaster.compute_optimal(mean_flops(levels[level])).N;
      if (sizes > 0) {
        chosen = nearest(levels[level], centre, static_cast<size_t>(sizes));
      } else {
        const std::vector<Point> here = nearest(levels[level], centre, flywheel::campaign::kCandidateSizes);
        const Optimum target = forecaster.compute_optimal(mean_flops(levels[top]));
        for (const size_t i :
             flywheel::campaign::choose_rung(forecaster, sites(here), {target.N, target.D, mean_flops(levels[top])}, 4))
          chosen.push_back(here[i]);
      }
    }
    for (const Point& p : chosen) outcome.flops += flops_of(p);
    run.insert(run.end(), chosen.begin(), chosen.end());
  }
  outcome.runs = static_cast<int>(run.size());
  const Point best = *std::min_element(levels[top].begin(), levels[top].end(),
                                       [](const Point& a, const Point& b) { return a.L < b.L; });
  outcome.error_percent = 100 * std::abs(Forecaster(run).predict(best.N, best.D).loss / best.L - 1);
  return outcome;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    struct Way {
      const char* name;
      int sizes;
      std::vector<double> errors, flops;
      double runs = 0;
    };
    std::vector<Way> ways = {{"isoFLOP, 4 sizes", 4, {}, {}},
                             {"isoFLOP, 3 sizes", 3, {}, {}},
                             {"isoFLOP, 2 sizes", 2, {}, {}},
                             {"isoFLOP, 1 size", 1, {}, {}},
                             {"by design", 0, {}, {}}};
    for (int a = 1; a < count; ++a) {
      const flywheel::Path path = arguments[a];
      const std::vector<Point> points = parse_runs(flywheel::real_file_system().read(path), path.string()).points;
      std::vector<std::vector<Point>> levels;
      for (const auto& level : compute_levels(points)) {
        if (level.size() < kThinnestLevel) continue;
        levels.emplace_back();
        for (const size_t i : level) levels.back().push_back(points[i]);
      }
      if (levels.size() < 4) continue;
      fmt::print("{}: {} levels\n", path.stem().string(), levels.size());
      // Every level from the fourth up as the top, so that thin and thick ladders count.
      for (size_t top = 3; top < levels.size(); ++top) {
        const double grid = climb(levels, top, 4).flops;
        for (Way& way : ways) {
          const Outcome outcome = climb(levels, top, way.sizes);
          way.errors.push_back(outcome.error_percent);
          way.flops.push_back(outcome.flops / grid);
          way.runs += outcome.runs;
        }
      }
    }
    for (const Way& way : ways) {
      double mean_square = 0, share = 0;
      const auto n = static_cast<double>(way.errors.size());
      for (const double e : way.errors) mean_square += e * e / n;
      for (const double f : way.flops) share += f / n;
      fmt::print(
          "{:<20} {:3.0f} ladders, {:5.1f} runs each, {:.2f} of the FLOPs of 4 sizes; error median {:.2f}%, root mean "
          "square {:.2f}%\n",
          way.name, n, way.runs / n, share, flywheel::quantile(way.errors, 0.5), std::sqrt(mean_square));
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_design: {}\n", e.what());
    return 1;
  }
}
