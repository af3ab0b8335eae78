// How well forecasts do on finished ladders: each is cut at its highest compute over k, fitted below the cut, and all
// that lies above is predicted; beside the usual fits with bootstrap intervals. Prints the tables of
// docs/forecast-backtests.md.
//   measure_forecasts [--resamples 400] RUNS.csv...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/statistics.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/law.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::bench {
namespace {

using scaling::flops_of;
using scaling::Optimum;
using scaling::Point;

constexpr double kCuts[] = {3, 10, 30, 100};

// One held-out run in log loss: how far off, and the ends of the 90% interval about the forecast.
struct Miss {
  double error, below, above;
};
using Ladder = std::vector<Miss>;
using Predict = std::function<Optimum(double N, double D)>;
using Method = std::function<Predict(const std::vector<Point>& below)>;

Method usual(const std::string& form, int resamples) {
  return [=](const std::vector<Point>& below) -> Predict {
    scaling::FitOptions options = scaling::published_options();
    options.form = form;
    options.bootstrap = resamples;
    const scaling::Fit fit = scaling::fit(below, options);
    return [fit](double N, double D) {
      Optimum o;
      o.loss = fit.law.loss(N, D);
      std::vector<double> losses;
      for (const scaling::Law& law : fit.resamples) losses.push_back(law.loss(N, D));
      o.low = quantile(losses, 0.05), o.high = quantile(losses, 0.95);
      return o;
    };
  };
}

Predict ours(const std::vector<Point>& below) {
  const auto forecaster = std::make_shared<scaling::Forecaster>(below);
  return [forecaster](double N, double D) { return forecaster->predict(N, D); };
}

double coverage(const std::vector<Ladder>& ladders, double inflate) {
  double mean = 0;
  for (const Ladder& ladder : ladders)
    for (const Miss& m : ladder)
      mean += (m.error >= -inflate * m.below && m.error <= inflate * m.above) /
              static_cast<double>(ladder.size() * ladders.size());
  return mean;
}

// The factor on all intervals at which they cover `wanted`.
double inflation_for(const std::vector<Ladder>& ladders, double wanted) {
  double low = 1e-3, high = 1e4;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (coverage(ladders, middle) < wanted ? low : high) = middle;
  }
  return high;
}

// Gneiting and Raftery 2007, section 6.2, of log loss in percent: the width, and 20 times what lies outside. Mean over
// runs, median over ladders.
double interval_score(const std::vector<Ladder>& ladders, double inflate) {
  std::vector<double> scores;
  for (const Ladder& ladder : ladders) {
    double sum = 0;
    for (const Miss& m : ladder)
      sum += inflate * (m.below + m.above) +
             20 * std::max({0.0, m.error - inflate * m.above, -m.error - inflate * m.below});
    scores.push_back(100 * sum / static_cast<double>(ladder.size()));
  }
  return quantile(scores, 0.5);
}

double median_error(const Ladder& ladder) {
  std::vector<double> errors;
  for (const Miss& m : ladder) errors.push_back(100 * std::abs(std::expm1(-m.error)));
  return quantile(errors, 0.5);
}

struct Table {
  std::string name;
  std::vector<Ladder> ladders[4];
  double seconds = 0;
};

Table measure(const std::string& name, const Method& method, const std::vector<Path>& paths, bool rows) {
  Table table{name, {}, 0};
  const auto start = std::chrono::steady_clock::now();
  for (const Path& path : paths) {
    const std::vector<Point> points = scaling::parse_runs(real_file_system().read(path), path.string()).points;
    double highest = 0;
    for (const Point& p : points) highest = std::max(highest, flops_of(p));
    if (rows) fmt::print("{:<54}", path.stem().string());
    for (int c = 0; c < 4; ++c) {
      std::vector<Point> below, above;
      for (const Point& p : points) (flops_of(p) <= highest / kCuts[c] * (1 + 1e-9) ? below : above).push_back(p);
      if (below.size() < 6) {
        if (rows) fmt::print("  {:>12}", "");
        continue;
      }
      const Predict predict = method(below);
      Ladder ladder;
      for (const Point& p : above) {
        const Optimum o = predict(p.N, p.D);
        ladder.push_back({std::log(p.L / o.loss), std::log(o.loss / o.low), std::log(o.high / o.loss)});
      }
      if (rows) fmt::print("  {:5.2f} ({:3.0f}%)", median_error(ladder), 100 * coverage({ladder}, 1));
      table.ladders[c].push_back(std::move(ladder));
    }
    if (rows) fmt::print("\n");
  }
  table.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return table;
}

void print_summary(const Table& table, const Table& wanted) {
  fmt::print("{:<14}", table.name);
  for (int c = 0; c < 4; ++c) {
    std::vector<double> errors;
    for (const Ladder& ladder : table.ladders[c]) errors.push_back(median_error(ladder));
    const double own = coverage(wanted.ladders[c], 1);
    const double inflate = &table == &wanted ? 1 : inflation_for(table.ladders[c], own);
    fmt::print("  k {:>3}: {:5.2f}% ({:3.0f}%) score {:6.2f} x{:<6.3g}", kCuts[c], quantile(errors, 0.5),
               100 * coverage(table.ladders[c], 1), interval_score(table.ladders[c], inflate), inflate);
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
    const Table own = measure("ours", ours, paths, true);
    fmt::print(
        "\nmedian error over ladders (mean coverage), interval score once inflated to the first row's coverage\n");
    print_summary(own, own);
    for (const char* form : {"chinchilla", "kappa"})
      print_summary(measure(form, usual(form, resamples), paths, false), own);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_forecasts: {}\n", e.what());
    return 1;
  }
}
