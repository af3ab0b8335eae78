#include "cli/fit_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "scaling/backtest.h"
#include "scaling/evidence.h"
#include "scaling/forecaster.h"
#include "scaling/form.h"
#include "scaling/groups.h"
#include "scaling/law.h"

namespace flywheel::cli {
namespace {

using scaling::Fit;
using scaling::FitOptions;
using scaling::Forecaster;
using scaling::FormFit;
using scaling::Optimum;
using scaling::Point;

// Exponent of N_opt in C, from the law's own exponents and those of its resamples; null for a form without them.
OrderedJson allocation_json(const Fit& fit) {
  const auto exponent = [](const scaling::Law& law) {
    const auto beta = law.parameters.find("beta");
    const double alpha = law.parameters.at("alpha");
    return beta == law.parameters.end() ? 0.5 : beta->second / (alpha + beta->second);
  };
  if (!fit.law.parameters.contains("alpha")) return nullptr;
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

OrderedJson forms_json(const std::vector<FormFit>& fits) {
  OrderedJson json = OrderedJson::array();
  for (const FormFit& f : fits) {
    if (!f.left_out.empty()) continue;
    const scaling::Form& form = *scaling::find_form(f.form);
    OrderedJson interval = OrderedJson::object();
    for (const auto& [name, range] : f.fit.interval95) interval[name] = {range.first, range.second};
    json.push_back({{"name", f.form},
                    {"formula", form.formula},
                    {"source", form.source},
                    {"objective", f.fit.law.objective},
                    {"parameters", OrderedJson(f.fit.law.parameters)},
                    {"interval95", interval},
                    {"aicc", std::isfinite(f.aicc) ? OrderedJson(f.aicc) : OrderedJson(nullptr)},
                    {"weight", f.weight},
                    {"runs", f.runs},
                    {"points", f.fit.law.points},
                    {"starts", f.fit.starts},
                    {"identified", f.fit.identified},
                    {"seconds", f.seconds}});
  }
  return json;
}

OrderedJson left_out_json(const std::vector<FormFit>& fits) {
  OrderedJson json = OrderedJson::array();
  for (const FormFit& f : fits)
    if (!f.left_out.empty()) json.push_back({{"name", f.form}, {"reason", f.left_out}});
  return json;
}

// Rows far off the first form's law, the worst first; at most kListed are named.
OrderedJson outliers_json(const FitInput& input, const std::vector<scaling::Outlier>& found, bool dropped) {
  constexpr size_t kListed = 20;
  OrderedJson rows = OrderedJson::array();
  for (size_t i = 0; i < std::min(kListed, found.size()); ++i) {
    const scaling::Outlier& o = found[i];
    rows.push_back({{"line", input.table.rows[o.index]},
                    {"loss", input.table.points[o.index].L},
                    {"expected", o.expected},
                    {"robust_sd", o.deviation}});
  }
  return {{"count", found.size()}, {"dropped", dropped}, {"rows", rows}};
}

OrderedJson forecast_json(const Forecaster& forecaster) {
  OrderedJson json = OrderedJson::array();
  for (const double multiply : {3.0, 10.0, 100.0}) {
    const double flops = multiply * forecaster.highest_flops();
    const Optimum o = forecaster.compute_optimal(flops);
    json.push_back({{"multiply", multiply},
                    {"flops", flops},
                    {"params", o.N},
                    {"tokens", o.D},
                    {"loss", o.loss},
                    {"low", o.low},
                    {"high", o.high}});
  }
  return json;
}

OrderedJson wall_json(const scaling::Wall& wall) {
  return {{"verdict", wall.verdict},
          {"slope", wall.slope},
          {"slope_low", wall.slope_low},
          {"slope_high", wall.slope_high},
          {"smallest_detectable", wall.smallest_detectable},
          {"p_value", wall.p_value},
          {"why", wall.why}};
}

OrderedJson predictions_json(const std::vector<Point>& wanted, const Forecaster& forecaster,
                             const std::vector<FormFit>& fits) {
  OrderedJson json = OrderedJson::array();
  for (const Point& p : wanted) {
    const Optimum o = forecaster.predict(p.N, p.D);
    json.push_back({{"N", p.N},
                    {"D", p.D},
                    {"loss", o.loss},
                    {"low", o.low},
                    {"high", o.high},
                    {"averaged", scaling::averaged_loss(fits, p.N, p.D, p.C, p.U)}});
  }
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

FitOptions published_options(const FitCommand& command) {
  FitOptions options = scaling::published_options();
  options.huber_delta = command.huber;
  options.bootstrap = command.bootstrap;
  options.seed = command.seed;
  options.threads = command.threads;
  options.compute_sees_frontier = command.compute_runs == "frontier";
  return options;
}

OrderedJson input_json(const FitCommand& command, FitInput& input, const std::vector<Point>& wanted) {
  const std::vector<std::string> names = wanted_forms(command);
  std::vector<FormFit> fits = scaling::fit_forms(input.points, published_options(command), names);
  const std::vector<scaling::Outlier> far = scaling::outliers(input.table.points, fits.front().fit.law);
  const bool drop = command.outliers == "drop" && !far.empty();
  const OrderedJson outliers = outliers_json(input, far, drop);
  if (drop) {
    std::vector<size_t> rows;
    for (const scaling::Outlier& o : far) rows.push_back(o.index);
    drop_rows(input, rows);
    fits = scaling::fit_forms(input.points, published_options(command), names);
  }
  const Fit& first = fits.front().fit;
  FitOptions wall_options;
  wall_options.huber_delta = command.huber;
  wall_options.bootstrap = std::min(command.bootstrap, 100);
  wall_options.seed = command.seed;
  wall_options.threads = command.threads;
  Forecaster forecaster(input.points);
  const std::vector<scaling::BacktestRow> rows = scaling::backtest(input.points, 3);
  forecaster.error_inflation = scaling::inflation_from_backtest(rows);

  OrderedJson json;
  if (!input.group.empty()) json["group"] = input.group;
  json["points"] = input.table.points.size();
  json["unit"] = input.table.unit;
  json["forms"] = forms_json(fits);
  json["left_out"] = left_out_json(fits);
  json["identified"] = first.identified;
  json["warnings"] = first.warnings;
  json["notes"] = input.notes;
  json["outliers"] = outliers;
  json["allocation"] = allocation_json(first);
  json["forecast"] = forecast_json(forecaster);
  json["backtest"] = backtest_json(rows);
  json["error_inflation"] = forecaster.error_inflation;
  json["wall"] = wall_json(scaling::wall_test(input.points, wall_options));
  json["predictions"] = predictions_json(wanted, forecaster, fits);
  return json;
}

// The first form once more, its exponents in common to all groups.
OrderedJson shared_json(const FitCommand& command, const std::vector<FitInput>& inputs) {
  std::vector<std::vector<Point>> groups;
  for (const FitInput& input : inputs) groups.push_back(input.points);
  FitOptions options = published_options(command);
  options.form = wanted_forms(command).front();
  const std::vector<Fit> fits = scaling::fit_shared_exponents(groups, options);
  OrderedJson json = {{"form", options.form}, {"groups", OrderedJson::array()}};
  for (size_t g = 0; g < fits.size(); ++g) {
    OrderedJson interval = OrderedJson::object();
    for (const auto& [name, range] : fits[g].interval95) interval[name] = {range.first, range.second};
    json["groups"].push_back({{"group", inputs[g].group},
                              {"objective", fits[g].law.objective},
                              {"parameters", OrderedJson(fits[g].law.parameters)},
                              {"interval95", interval}});
  }
  return json;
}

}  // namespace

OrderedJson fit_json(const FitCommand& command) {
  if (command.shared_exponents && command.group.empty())
    throw_bad_input("--shared-exponents needs --group COLUMN: whose laws are to share them?");
  const auto start = std::chrono::steady_clock::now();
  std::vector<FitInput> inputs = read_inputs(command);
  const std::vector<Point> wanted = read_predictions(command);
  OrderedJson json;
  if (command.group.empty()) {
    json = input_json(command, inputs.front(), wanted);
  } else {
    json["groups"] = OrderedJson::array();
    for (FitInput& input : inputs) json["groups"].push_back(input_json(command, input, wanted));
    if (command.shared_exponents) json["shared_exponents"] = shared_json(command, inputs);
  }
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return json;
}

}  // namespace flywheel::cli
