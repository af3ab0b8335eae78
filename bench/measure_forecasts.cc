// How well forecasts do on finished ladders: each is cut at its highest compute over k, fitted below the cut, and all
// that lies above is predicted. Prints the tables of docs/forecast-backtests.md.
//   measure_forecasts RUNS.csv...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "scaling/forecaster.h"
#include "scaling/runs_table.h"
#include "scaling/statistics.h"

int main(int count, char** arguments) {
  using namespace flywheel;
  using scaling::flops_of;
  using scaling::Point;
  try {
    const double kCuts[] = {3, 10, 30, 100};
    std::vector<double> all[4], covered[4];
    const auto start = std::chrono::steady_clock::now();
    for (int a = 1; a < count; ++a) {
      const Path path = arguments[a];
      std::vector<Point> points = scaling::parse_runs(real_file_system().read(path), path.string()).points;
      double highest = 0;
      for (const Point& p : points) highest = std::max(highest, flops_of(p));
      fmt::print("{:<54}", path.stem().string());
      for (int c = 0; c < 4; ++c) {
        std::vector<Point> below, above;
        for (const Point& p : points) (flops_of(p) <= highest / kCuts[c] * (1 + 1e-9) ? below : above).push_back(p);
        if (below.size() < 6) {
          fmt::print("  {:>12}", "");
          continue;
        }
        const scaling::Forecaster forecaster(below);
        std::vector<double> errors;
        double inside = 0;
        for (const Point& p : above) {
          const scaling::Optimum o = forecaster.predict(p.N, p.D);
          errors.push_back(100 * std::abs(o.loss / p.L - 1));
          inside += o.low <= p.L && p.L <= o.high;
        }
        all[c].push_back(scaling::quantile(errors, 0.5));
        covered[c].push_back(inside / static_cast<double>(above.size()));
        fmt::print("  {:5.2f} ({:3.0f}%)", all[c].back(), 100 * covered[c].back());
      }
      fmt::print("\n");
    }
    fmt::print("{:<54}", "median error over ladders, mean coverage");
    for (int c = 0; c < 4; ++c) {
      double mean = 0;
      for (const double x : covered[c]) mean += 100 * x / static_cast<double>(covered[c].size());
      fmt::print("  {:5.2f} ({:3.0f}%)", scaling::quantile(all[c], 0.5), mean);
    }
    fmt::print("\n{:.2f} s\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_forecasts: {}\n", e.what());
    return 1;
  }
}
