#include "cli/fit_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/laws/form.h"
#include "scaling/laws/groups.h"
#include "scaling/laws/law.h"

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
OrderedJson outliers_json(const FitResult& result) {
  constexpr size_t kListed = 20;
  OrderedJson rows = OrderedJson::array();
  for (size_t i = 0; i < std::min(kListed, result.outliers.size()); ++i) {
    const scaling::Outlier& o = result.outliers[i];
    rows.push_back({{"line", result.outlier_table.rows[o.index]},
                    {"loss", result.outlier_table.points[o.index].L},
                    {"expected", o.expected},
                    {"robust_sd", o.deviation}});
  }
  return {{"count", result.outliers.size()}, {"dropped", result.dropped}, {"rows", rows}};
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

OrderedJson predictions_json(const std::vector<Point>& wanted, const FitResult& result) {
  OrderedJson json = OrderedJson::array();
  for (const Point& p : wanted) {
    const Point fresh = in_fresh_tokens(p, result.reuse);
    const Optimum o = result.forecaster.predict(fresh.N, fresh.D);
    json.push_back({{"N", p.N},
                    {"D", p.D},
                    {"loss", o.loss},
                    {"low", o.low},
                    {"high", o.high},
                    {"averaged", scaling::averaged_loss(result.forms, p.N, p.D, p.C, p.U)}});
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

}  // namespace

OrderedJson result_json(const FitResult& result, const std::vector<Point>& wanted) {
  const Fit& first = result.forms.front().fit;
  OrderedJson json;
  if (!result.input.group.empty()) json["group"] = result.input.group;
  json["points"] = result.input.table.points.size();
  json["unit"] = result.input.table.unit;
  json["forms"] = forms_json(result.forms);
  json["left_out"] = left_out_json(result.forms);
  json["identified"] = first.identified;
  json["warnings"] = first.warnings;
  json["notes"] = result.input.notes;
  json["outliers"] = outliers_json(result);
  json["allocation"] = allocation_json(first);
  json["forecast"] = forecast_json(result.forecaster);
  json["backtest"] = backtest_json(result.backtest);
  json["error_inflation"] = result.forecaster.error_inflation;
  json["wall"] = wall_json(result.wall);
  json["predictions"] = predictions_json(wanted, result);
  return json;
}

// The first form once more, its exponents in common to all groups.
OrderedJson shared_exponents_json(const FitCommand& command, const std::vector<FitResult>& results) {
  std::vector<std::vector<Point>> groups;
  for (const FitResult& result : results) groups.push_back(result.input.points);
  FitOptions options = published_options(command);
  options.form = wanted_forms(command).front();
  const std::vector<Fit> fits = scaling::fit_shared_exponents(groups, options);
  OrderedJson json = {{"form", options.form}, {"groups", OrderedJson::array()}};
  for (size_t g = 0; g < fits.size(); ++g) {
    OrderedJson interval = OrderedJson::object();
    for (const auto& [name, range] : fits[g].interval95) interval[name] = {range.first, range.second};
    json["groups"].push_back({{"group", results[g].input.group},
                              {"objective", fits[g].law.objective},
                              {"parameters", OrderedJson(fits[g].law.parameters)},
                              {"interval95", interval}});
  }
  return json;
}

}  // namespace flywheel::cli
