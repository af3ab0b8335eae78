#include "report/fit_json.h"

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

OrderedJson growth_json(const std::optional<scaling::GrowthOfSize>& growth) {
  if (!growth) return nullptr;
  OrderedJson json = {{"a", growth->a}, {"low", nullptr}, {"high", nullptr}};
  if (growth->interval95) json["low"] = growth->interval95->first, json["high"] = growth->interval95->second;
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
                    {"parameters", OrderedJson(f.fit.law.parameters)},
                    {"interval95", intervals_json(f.fit)},
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

OrderedJson forecast_json(const std::vector<scaling::ForecastRow>& rows) {
  OrderedJson json = OrderedJson::array();
  for (const scaling::ForecastRow& row : rows) {
    const Optimum& o = row.optimum;
    json.push_back({{"multiply", row.multiply},
                    {"flops", row.flops},
                    {"params", o.N},
                    {"tokens", o.D},
                    {"loss", o.loss},
                    {"low", o.low},
                    {"high", o.high}});
  }
  return json;
}

OrderedJson wall_json(const scaling::Wall& wall) {
  return {{"verdict", name(wall.verdict)},
          {"slope", wall.slope},
          {"slope_low", wall.slope_low},
          {"slope_high", wall.slope_high},
          {"smallest_detectable", wall.smallest_detectable},
          {"p_value", wall.p_value},
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
                    {"averaged", row.averaged}});
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

OrderedJson fit_json(const FitResult& result) {
  const Fit& first = result.first();
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
  json["allocation"] = growth_json(result.growth);
  json["forecast"] = forecast_json(result.forecast);
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
                              {"parameters", OrderedJson(fits[g].law.parameters)},
                              {"interval95", intervals_json(fits[g])}});
  return json;
}

}  // namespace flywheel::report
