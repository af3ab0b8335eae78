// How well forecasts do on finished ladders: each is cut at its highest compute over k, fitted below the cut, and all
// that lies above is predicted; beside the usual fits with bootstrap intervals. Prints the tables of
// docs/notes/forecast-backtests.md: of each ladder the median error in percent (mean error, coverage, interval score),
// with intervals as shown and as the model has them.
//   measure_forecasts [--resamples 400] RUNS.csv...
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "bench/ladder_cuts.h"

namespace flywheel::bench {
namespace {

struct ErrorTable {
  std::string name;
  std::vector<Misses> ladders[kCutCount];
  double seconds = 0;
};

ErrorTable measure(const std::string& name, const Method& method, const std::vector<Path>& paths, bool rows) {
  ErrorTable table{name, {}, 0};
  const auto start = std::chrono::steady_clock::now();
  for (const Path& path : paths) {
    const std::vector<Point> points = runs_in(path);
    if (rows) fmt::print("{:<54}", path.stem().string());
    for (size_t c = 0; c < kCutCount; ++c) {
      const Split split = cut(points, kCuts[c]);
      if (!split.fits()) {
        if (rows) fmt::print("  {:>25}", "");
        continue;
      }
      Misses ladder = misses_of(method, split);
      if (rows)
        fmt::print("  {:5.2f} ({:5.2f}, {:3.0f}%, {:4.1f})", median_error_percent(ladder), mean_error_percent(ladder),
                   100 * coverage(ladder, 1), interval_score(ladder, 1));
      table.ladders[c].push_back(std::move(ladder));
    }
    if (rows) fmt::print("\n");
  }
  table.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return table;
}

void print_summary(const ErrorTable& table, const ErrorTable& wanted) {
  fmt::print("{:<14}", table.name);
  for (size_t c = 0; c < kCutCount; ++c) {
    const double own = coverage(wanted.ladders[c], 1);
    const double inflate = &table == &wanted ? 1 : inflation_for(table.ladders[c], own);
    std::vector<double> errors, scores;
    for (const Misses& ladder : table.ladders[c]) {
      errors.push_back(median_error_percent(ladder));
      scores.push_back(interval_score(ladder, inflate));
    }
    fmt::print("  k {:>3}: {:5.2f}% ({:3.0f}%) score {:6.2f}, mean {:6.2f} x{:<6.3g}", kCuts[c], quantile(errors, 0.5),
               100 * coverage(table.ladders[c], 1), quantile(scores, 0.5), mean(scores), inflate);
  }
  fmt::print("  {:.2f} s\n", table.seconds);
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  using namespace flywheel;
  using namespace flywheel::bench;
  try {
    int resamples = 400;
    std::vector<Path> paths;
    for (int a = 1; a < count; ++a) {
      if (std::string_view(arguments[a]) == "--resamples" && a + 1 < count)
        resamples = std::atoi(arguments[++a]);
      else
        paths.emplace_back(arguments[a]);
    }
    const ErrorTable own = measure("ours", ours(), paths, true);
    fmt::print("\nno backtests\n");
    const ErrorTable plain = measure("no backtests", own_intervals(), paths, true);
    fmt::print(
        "\nmedian error over ladders (mean coverage), median and mean interval score once inflated to the first row's "
        "coverage\n");
    print_summary(own, own);
    print_summary(plain, plain);
    for (const char* form : {"chinchilla", "kappa"})
      print_summary(measure(form, usual(form, resamples), paths, false), own);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_forecasts: {}\n", e.what());
    return 1;
  }
}
