#include "report/fit/fit_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "scaling/laws/form.h"

namespace flywheel::report {
namespace {

using scaling::Fit;
using scaling::FitResult;
using scaling::FormFit;
using scaling::Optimum;

OrderedJson growth_json(const scaling::OptimumRule& rule) {
  if (!rule.identified) return nullptr;
  return {{"a", rule.a.value}, {"low", rule.a.low}, {"high", rule.a.high}};
}

// Null where the runs do not identify a parameter.
OrderedJson parameters_json(const Fit& fit) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : fit.law.parameters)
    json[name] = fit.not_identified.contains(name) ? OrderedJson() : OrderedJson(value);
  return json;
}

OrderedJson intervals_json(const Fit& fit) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, range] : fit.interval95) json[name] = {range.first, range.second};
  return json;
}

OrderedJson forms_json(const std::vector<FormFit>& fits) {
  OrderedJson json = OrderedJson::array();
  for (const FormFit& f : fits) {
    if (!f.left_out.empty()) continue;
    const scaling::Form& form = *scaling::find_form(f.form);
    json.push_back({{"name", f.form},
                    {"formula", form.formula},
                    {"source", form.source},
                    {"objective", f.fit.law.objective},
                    {"parameters", parameters_json(f.fit)},
                    {"interval95", intervals_json(f.fit)},
                    {"not_identified", OrderedJson(f.fit.not_identified)},
                    {"aicc", std::isfinite(f.aicc) ? OrderedJson(f.aicc) : OrderedJson(nullptr)},
                    {"weight", f.weight},
                    {"runs", name_of(f.runs)},
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

OrderedJson forecast_json(const FitResult& result) {
  OrderedJson json = OrderedJson::array();
  for (const scaling::ForecastRow& row : result.forecast) {
    const Optimum& o = row.optimum;
    OrderedJson one = {{"multiply", row.multiply}, {"flops", row.flops}};
    add_size(one, result.optimum, o.N, o.D);
    one["loss"] = o.loss, one["low"] = o.low, one["high"] = o.high;
    json.push_back(std::move(one));
  }
  return json;
}

// null: not measured.
OrderedJson finite(double value) {
  return std::isfinite(value) ? OrderedJson(value) : OrderedJson();
}

OrderedJson wall_json(const scaling::Wall& wall) {
  return {{"verdict", name(wall.verdict)},
          {"slope", finite(wall.slope)},
          {"slope_low", finite(wall.slope_low)},
          {"slope_high", finite(wall.slope_high)},
          {"smallest_detectable", wall.smallest_detectable > 0 ? finite(wall.smallest_detectable) : OrderedJson()},
          {"p_value", finite(wall.p_value)},
          {"why", wall.why}};
}

OrderedJson predictions_json(const std::vector<scaling::PredictionRow>& rows) {
  OrderedJson json = OrderedJson::array();
  for (const scaling::PredictionRow& row : rows)
    json.push_back({{"N", row.wanted.N},
                    {"D", row.wanted.D},
                    {"loss", row.predicted.loss},
                    {"low", row.predicted.low},
                    {"high", row.predicted.high},
                    {"averaged", std::isfinite(row.averaged) ? OrderedJson(row.averaged) : OrderedJson()}});
  return json;
}

OrderedJson backtest_json(const std::vector<scaling::BacktestSummary>& rows) {
  OrderedJson json = OrderedJson::array();
  for (const scaling::BacktestSummary& row : rows)
    json.push_back({{"k", row.k},
                    {"points", row.points},
                    {"median_error_percent", row.median_error_percent},
                    {"coverage90", row.coverage90}});
  return json;
}

OrderedJson inflation_json(const scaling::ErrorInflation& inflation) {
  OrderedJson json = OrderedJson::array();
  for (const double multiply : {3.0, 10.0, 30.0, 100.0})
    json.push_back({{"multiply", multiply}, {"factor", inflation.at_multiple(multiply)}});
  return json;
}

}  // namespace

OrderedJson optimum_json(const scaling::OptimumRule& rule) {
  OrderedJson json = {{"identified", rule.identified},
                      {"why", rule.why},
                      {"model", rule.model},
                      {"a", nullptr},
                      {"low", nullptr},
                      {"high", nullptr},
                      {"runs_to_identify", OrderedJson::array()}};
  if (rule.identified) json["a"] = rule.a.value, json["low"] = rule.a.low, json["high"] = rule.a.high;
  for (const scaling::WantedRun& run : rule.runs_to_identify)
    json["runs_to_identify"].push_back({{"params", run.N}, {"tokens", run.D}, {"flops", run.flops}});
  return json;
}

void add_size(OrderedJson& row, const scaling::OptimumRule& rule, double params, double tokens) {
  row["params"] = rule.identified ? OrderedJson(params) : OrderedJson();
  row["tokens"] = rule.identified ? OrderedJson(tokens) : OrderedJson();
  row["along"] = rule.identified ? "optimum" : "ladder";
  if (!rule.identified) row["path"] = {{"params", params}, {"tokens", tokens}};
}

OrderedJson fit_json(const FitResult& result) {
  const Fit& first = result.first();
  OrderedJson json;
  if (!result.input.group.empty()) json["group"] = result.input.group;
  json["points"] = result.input.table.points.size();
  json["unit"] = result.input.table.unit;
  json["forms"] = forms_json(result.forms);
  json["left_out"] = left_out_json(result.forms);
  json["identified"] = first.identified;
  json["warnings"] = result.input.table.warnings;
  for (const std::string& warning : first.warnings) json["warnings"].push_back(warning);
  for (const std::string& warning : result.optimum.warnings) json["warnings"].push_back(warning);
  json["notes"] = result.input.notes;
  json["outliers"] = outliers_json(result);
  json["optimum"] = optimum_json(result.optimum);
  json["allocation"] = growth_json(result.optimum);
  json["forecast"] = forecast_json(result);
  json["backtest"] = backtest_json(result.by_distance);
  json["error_inflation"] = result.forecaster.error_inflation.at_multiple(10);
  json["error_inflation_at"] = inflation_json(result.forecaster.error_inflation);
  json["wall"] = wall_json(result.wall);
  json["predictions"] = predictions_json(result.predictions);
  return json;
}

OrderedJson shared_exponents_json(const std::string& form, const std::vector<FitResult>& results,
                                  const std::vector<Fit>& fits) {
  OrderedJson json = {{"form", form}, {"groups", OrderedJson::array()}};
  for (size_t g = 0; g < fits.size(); ++g)
    json["groups"].push_back({{"group", results[g].input.group},
                              {"objective", fits[g].law.objective},
                              {"parameters", parameters_json(fits[g])},
                              {"interval95", intervals_json(fits[g])}});
  return json;
}

}  // namespace flywheel::report
