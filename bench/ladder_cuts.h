// Finished ladders cut at their highest compute over k: what a method says of the runs above from those below, and how
// well. Shared by the measurements of forecasts.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/statistics.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/law.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::bench {

using scaling::Point;

inline constexpr double kCuts[] = {3, 10, 30, 100};
inline constexpr size_t kCutCount = std::size(kCuts);
inline constexpr size_t kFewestBelow = 6;

// One held-out run in log loss: how far off, and the ends of the 90% interval about the forecast.
struct Miss {
  double error, below, above;
};
using Misses = std::vector<Miss>;
using Predict = std::function<scaling::Optimum(const Point&)>;
using Method = std::function<Predict(const std::vector<Point>& below)>;

struct Split {
  std::vector<Point> below, above;
  bool fits() const { return below.size() >= kFewestBelow; }
};

inline Split cut(const std::vector<Point>& points, double k) {
  double highest = 0;
  for (const Point& p : points) highest = std::max(highest, scaling::flops_of(p));
  Split split;
  for (const Point& p : points)
    (scaling::flops_of(p) <= highest / k * (1 + 1e-9) ? split.below : split.above).push_back(p);
  return split;
}

inline Misses misses_of(const Method& method, const Split& split) {
  const Predict predict = method(split.below);
  Misses misses;
  for (const Point& p : split.above) {
    const scaling::Optimum o = predict(p);
    misses.push_back({std::log(p.L / o.loss), std::log(o.loss / o.low), std::log(o.high / o.loss)});
  }
  return misses;
}

inline std::vector<Point> runs_in(const Path& path) {
  return scaling::parse_runs(real_file_system().read(path), path.string()).points;
}

// The form as it is usually fitted, with the 90% interval of its bootstrap.
inline Method usual(const std::string& form, int resamples) {
  return [=](const std::vector<Point>& below) -> Predict {
    scaling::FitOptions options = scaling::published_options();
    options.form = form;
    options.bootstrap = resamples;
    const scaling::Fit fit = scaling::fit(below, options);
    return [fit](const Point& p) {
      scaling::Optimum o;
      o.loss = fit.law.loss(p.N, p.D);
      std::vector<double> losses;
      for (const scaling::Law& law : fit.resamples) losses.push_back(law.loss(p.N, p.D));
      o.low = quantile(losses, 0.05), o.high = quantile(losses, 0.95);
      return o;
    };
  };
}

// Intervals as the model has them, and as the program shows them: scaled by backtests on the runs below.
inline Method own_intervals(const scaling::Beliefs& beliefs = {}) {
  return [beliefs](const std::vector<Point>& below) -> Predict {
    const auto forecaster = std::make_shared<scaling::Forecaster>(below, beliefs);
    return [forecaster](const Point& p) { return forecaster->predict(p.N, p.D, p.aspect); };
  };
}

inline Method ours(const scaling::Beliefs& beliefs = {}) {
  return [beliefs](const std::vector<Point>& below) -> Predict {
    const auto forecaster = std::make_shared<scaling::Forecaster>(below, beliefs);
    forecaster->error_inflation = scaling::ErrorInflation(scaling::backtest(below, beliefs), beliefs);
    return [forecaster](const Point& p) { return forecaster->predict(p.N, p.D, p.aspect); };
  };
}

inline std::vector<double> errors_percent(const Misses& misses) {
  std::vector<double> errors;
  for (const Miss& m : misses) errors.push_back(100 * std::abs(std::expm1(-m.error)));
  return errors;
}

inline double median_error_percent(const Misses& misses) {
  return quantile(errors_percent(misses), 0.5);
}

inline double mean_error_percent(const Misses& misses) {
  return mean(errors_percent(misses));
}

inline double coverage(const Misses& misses, double inflate) {
  double inside = 0;
  for (const Miss& m : misses) inside += m.error >= -inflate * m.below && m.error <= inflate * m.above;
  return inside / static_cast<double>(misses.size());
}

// Mean over ladders.
inline double coverage(const std::vector<Misses>& ladders, double inflate) {
  double sum = 0;
  for (const Misses& ladder : ladders) sum += coverage(ladder, inflate);
  return sum / static_cast<double>(ladders.size());
}

// The factor on all intervals at which they cover `wanted`.
inline double inflation_for(const std::vector<Misses>& ladders, double wanted) {
  double low = 1e-3, high = 1e4;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (coverage(ladders, middle) < wanted ? low : high) = middle;
  }
  return high;
}

// Gneiting and Raftery 2007, section 6.2, of log loss in percent: the width, and 20 times what lies outside. Mean over
// runs.
inline double interval_score(const Misses& misses, double inflate) {
  double sum = 0;
  for (const Miss& m : misses)
    sum +=
        inflate * (m.below + m.above) + 20 * std::max({0.0, m.error - inflate * m.above, -m.error - inflate * m.below});
  return 100 * sum / static_cast<double>(misses.size());
}

}  // namespace flywheel::bench
