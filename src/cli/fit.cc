// flywheel fit RUNS.csv: a scaling law of anybody's runs, what it forecasts, and how such forecasts did on these runs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/fit_curves.h"
#include "scaling/backtest.h"
#include "scaling/forecaster.h"
#include "scaling/law.h"
#include "scaling/runs_table.h"

namespace flywheel::cli {
namespace {

using scaling::Fit;
using scaling::FitOptions;
using scaling::Optimum;
using scaling::Point;

struct Options {
  std::string runs, predict;
  std::string form = "chinchilla";
  double huber = 1e-3;
  int drop_highest = 0, bootstrap = 400, threads = 1;
  uint64_t seed = 1;
  bool json = false;
};

std::vector<Point> read_runs(const Options& options) {
  std::vector<Point> points = scaling::parse_runs(real_file_system().read(options.runs), options.runs).points;
  if (options.drop_highest < 0 || static_cast<size_t>(options.drop_highest) >= points.size())
    throw_bad_input("--drop-highest {}: expected 0 to {} for the {} runs in {}", options.drop_highest,
                    points.size() - 1, points.size(), options.runs);
  std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.L > b.L; });
  points.erase(points.begin(), points.begin() + options.drop_highest);
  return points;
}

// Exponent of N_opt in C, from the law's own exponents and those of its resamples.
OrderedJson allocation_json(const Fit& fit) {
  const auto exponent = [](const scaling::Law& law) {
    const double alpha = law.parameters.at("alpha"), beta = law.parameters.at("beta");
    return beta / (alpha + beta);
  };
  OrderedJson json = {{"a", exponent(fit.law)}, {"low", nullptr}, {"high", nullptr}};
  std::vector<double> values;
  for (const scaling::Law& law : fit.resamples) values.push_back(exponent(law));
  if (values.empty()) return json;
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  json["low"] = values[static_cast<size_t>(std::lround(0.025 * last))];
  json["high"] = values[static_cast<size_t>(std::lround(0.975 * last))];
  return json;
}

// Backtests by distance of extrapolation, the nearest of k = 3, 10, 30, 100.
OrderedJson backtest_json(const std::vector<scaling::BacktestRow>& rows) {
  OrderedJson json = OrderedJson::array();
  const double kDistances[] = {3, 10, 30, 100};
  for (const double k : kDistances) {
    std::vector<double> errors;
    int inside = 0;
    for (const scaling::BacktestRow& row : rows) {
      const double off = std::abs(row.decades - std::log10(k));
      const bool nearest = std::none_of(std::begin(kDistances), std::end(kDistances),
                                        [&](double other) { return std::abs(row.decades - std::log10(other)) < off; });
      if (!nearest) continue;
      errors.push_back(std::abs(row.error_percent));
      inside += row.inside;
    }
    if (errors.empty()) continue;
    std::sort(errors.begin(), errors.end());
    const size_t n = errors.size();
    json.push_back({{"k", k},
                    {"points", n},
                    {"median_error_percent", 0.5 * (errors[(n - 1) / 2] + errors[n / 2])},
                    {"coverage90", static_cast<double>(inside) / static_cast<double>(n)}});
  }
  return json;
}

OrderedJson fit_json(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Point> points = read_runs(options);
  std::vector<Point> wanted;
  if (!options.predict.empty())
    wanted = scaling::parse_runs(real_file_system().read(options.predict), options.predict, false).points;

  FitOptions published = scaling::published_options();
  published.form = options.form;
  published.huber_delta = options.huber;
  published.bootstrap = options.bootstrap;
  published.seed = options.seed;
  published.threads = options.threads;
  const Fit fit = scaling::fit(points, published);

  scaling::Forecaster forecaster(points);
  const std::vector<scaling::BacktestRow> rows = scaling::backtest(points, 3);
  forecaster.error_inflation = scaling::inflation_from_backtest(rows);
  FitOptions wall_options;
  wall_options.form = options.form;
  wall_options.huber_delta = options.huber;
  wall_options.bootstrap = std::min(options.bootstrap, 100);
  wall_options.seed = options.seed;
  const scaling::Wall wall = scaling::wall_test(points, wall_options);

  OrderedJson interval = OrderedJson::object();
  for (const auto& [name, range] : fit.interval95) interval[name] = {range.first, range.second};
  OrderedJson json;
  json["points"] = points.size();
  const double free_parameters = static_cast<double>(fit.law.parameters.size()) + 1;
  const double n = static_cast<double>(points.size());
  // Laplace likelihood, which the Huber objective is outside its small quadratic zone; undefined for few runs.
  const double scale = std::max(fit.law.objective / (options.huber * n), 1e-12);
  OrderedJson aicc = nullptr;
  if (n > free_parameters + 1)
    aicc = 2 * n * std::log(2 * scale) + 2 * n + 2 * free_parameters +
           2 * free_parameters * (free_parameters + 1) / (n - free_parameters - 1);
  json["forms"] = OrderedJson::array({{{"name", fit.law.form},
                                       {"objective", fit.law.objective},
                                       {"parameters", OrderedJson(fit.law.parameters)},
                                       {"interval95", interval},
                                       {"aicc", aicc},
                                       {"weight", 1.0}}});
  json["identified"] = fit.identified;
  json["warnings"] = fit.warnings;
  json["allocation"] = allocation_json(fit);
  json["forecast"] = OrderedJson::array();
  for (const double multiply : {3.0, 10.0, 100.0}) {
    const double flops = multiply * forecaster.highest_flops();
    const Optimum o = forecaster.compute_optimal(flops);
    json["forecast"].push_back({{"multiply", multiply},
                                {"flops", flops},
                                {"params", o.N},
                                {"tokens", o.D},
                                {"loss", o.loss},
                                {"low", o.low},
                                {"high", o.high}});
  }
  json["backtest"] = backtest_json(rows);
  json["error_inflation"] = forecaster.error_inflation;
  json["wall"] = {{"verdict", wall.verdict},
                  {"slope", wall.slope},
                  {"slope_low", wall.slope_low},
                  {"slope_high", wall.slope_high},
                  {"smallest_detectable", wall.smallest_detectable},
                  {"p_value", wall.p_value},
                  {"why", wall.why}};
  json["predictions"] = OrderedJson::array();
  for (const Point& p : wanted) {
    const Optimum o = forecaster.predict(p.N, p.D);
    json["predictions"].push_back({{"N", p.N}, {"D", p.D}, {"loss", o.loss}, {"low", o.low}, {"high", o.high}});
  }
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return json;
}

void print_text(const OrderedJson& json) {
  const OrderedJson& form = json["forms"][0];
  fmt::print("{} runs, form {}, objective {:.8g}\n", json["points"].get<size_t>(), form["name"].get<std::string>(),
             form["objective"].get<double>());
  for (const auto& [name, value] : form["parameters"].items()) {
    fmt::print("  {:<6} {:>12.6g}", name, value.get<double>());
    if (form["interval95"].contains(name))
      fmt::print("   95% {:.4g} to {:.4g}", form["interval95"][name][0].get<double>(),
                 form["interval95"][name][1].get<double>());
    fmt::print("\n");
  }
  for (const auto& warning : json["warnings"]) fmt::print("note: {}\n", warning.get<std::string>());
  fmt::print("forecast at the compute-optimal size (90%, weighted towards the top of the ladder):\n");
  for (const auto& row : json["forecast"])
    fmt::print("  {:>4.0f}x  {:<14}  N {:<7}  D {:<7}  loss {:.4f}  {:.4f} to {:.4f}\n", row["multiply"].get<double>(),
               format_flops(row["flops"].get<double>()), format_count(row["params"].get<double>()),
               format_count(row["tokens"].get<double>()), row["loss"].get<double>(), row["low"].get<double>(),
               row["high"].get<double>());
  for (const auto& row : json["backtest"])
    fmt::print("backtest about {:.0f}x beyond: {} forecasts, median error {:.2f}%, inside 90% interval {:.0f}%\n",
               row["k"].get<double>(), row["points"].get<size_t>(), row["median_error_percent"].get<double>(),
               100 * row["coverage90"].get<double>());
  fmt::print("wall: {} ({})\n", json["wall"]["verdict"].get<std::string>(), json["wall"]["why"].get<std::string>());
  for (const auto& row : json["predictions"])
    fmt::print("prediction N {:.4g} D {:.4g}: {:.4f}  {:.4f} to {:.4f}\n", row["N"].get<double>(),
               row["D"].get<double>(), row["loss"].get<double>(), row["low"].get<double>(), row["high"].get<double>());
}

}  // namespace

Action declare_fit(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("runs", options->runs, "CSV of finished runs: columns N, D, L and optionally C")->required();
  app.add_option("--forms", options->form, "Form of the law")->capture_default_str();
  app.add_option("--huber", options->huber, "Huber delta on log residuals")->capture_default_str();
  app.add_option("--drop-highest", options->drop_highest, "Leave out this many of the highest losses");
  app.add_option("--bootstrap", options->bootstrap, "Resamples for intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--predict", options->predict, "CSV of sizes (N, D) to predict");
  app.add_option("--seed", options->seed, "Seed of the resamples")->capture_default_str();
  app.add_option("--threads", options->threads, "Threads; the numbers do not depend on it")->check(CLI::Range(1, 256));
  app.add_flag("--json", options->json, "Print one JSON object");
  return [options, curves = declare_fit_curves(app)] {
    if (const auto status = curves()) return *status;
    for (const std::string& path : {options->runs, options->predict})
      if (!path.empty() && !std::filesystem::is_regular_file(path))
        throw_bad_input("{}: no such file; expected a CSV of runs", path);
    const OrderedJson json = fit_json(*options);
    if (options->json)
      fmt::print("{}\n", json.dump());
    else
      print_text(json);
    return 0;
  };
}

}  // namespace flywheel::cli
