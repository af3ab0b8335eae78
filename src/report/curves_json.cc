#include "report/curves_json.h"

#include <cmath>

#include "base/json.h"

namespace flywheel::report {
namespace {

using scaling::CurveErrors;

OrderedJson number_or_null(double value) {
  return std::isfinite(value) ? OrderedJson(value) : OrderedJson(nullptr);
}

// Medians over curves, and each curve.
OrderedJson errors_json(const CurveErrors& errors) {
  OrderedJson each = OrderedJson::array();
  for (const scaling::CurveError& error : errors.curves)
    each.push_back({{"name", error.name},
                    {"median_error_percent", 100 * error.median_absolute},
                    {"worst_error_percent", 100 * error.worst_absolute},
                    {"final_predicted", error.predicted},
                    {"final_measured", error.measured},
                    {"final_error_percent", 100 * error.final}});
  return {{"median_error_percent", errors.median_percent},
          {"median_final_error_percent", errors.median_final_percent},
          {"curves", each}};
}

OrderedJson end_json(const scaling::EndForecast& end) {
  const scaling::CurvePrediction& p = end.prediction;
  return {{"name", p.name},
          {"step", p.step},
          {"loss", p.loss},
          {"low", number_or_null(p.low)},
          {"high", number_or_null(p.high)},
          {"basis", name_of(p.basis)},
          {"measured", end.measured ? OrderedJson(*end.measured) : OrderedJson(nullptr)}};
}

OrderedJson form_json(const scaling::CurveFormResult& form) {
  OrderedJson json = {{"name", name_of(form.form)},
                      {"objective", form.law.objective},
                      {"parameters", OrderedJson(form.law.parameters())},
                      {"residual_sd", form.law.residual_sd}};
  json.update(errors_json(form.errors));
  return json;
}

OrderedJson held_out_json(const scaling::HeldOutResult& held) {
  OrderedJson json = {{"fitted", held.fitted}, {"decay_seen", held.decay_seen}, {"forms", OrderedJson::array()}};
  for (const scaling::CurveFormResult& form : held.forms) {
    OrderedJson row = {{"name", name_of(form.form)}};
    row.update(errors_json(form.errors));
    json["forms"].push_back(row);
  }
  json["forecast_by"] = name_of(held.forecast_by);
  json["forecasts"] = OrderedJson::array();
  for (const scaling::EndForecast& end : held.forecasts) json["forecasts"].push_back(end_json(end));
  return json;
}

}  // namespace

OrderedJson curves_json(const scaling::CurvesResult& result) {
  const scaling::CurveLaw& law = result.forecaster.law;
  OrderedJson json = {{"curves", result.curves}, {"points", law.points}, {"forms", OrderedJson::array()}};
  for (const scaling::CurveFormResult& form : result.forms) json["forms"].push_back(form_json(form));
  json["reference_n"] = law.reference_n;
  json["reference_rates"] = OrderedJson::array();
  for (const auto& [N, rate] : law.reference_rates)
    json["reference_rates"].push_back({{"N", N}, {"learning_rate", rate}});
  json["warnings"] = law.warnings;
  json["held_out"] = OrderedJson::array();
  for (const scaling::HeldOutResult& held : result.held_out) json["held_out"].push_back(held_out_json(held));
  json["forecast_by"] = name_of(law.layout.form);
  const std::pair<const char*, const std::optional<CurveErrors>*> tests[] = {
      {"leave_one_out", &result.one_out},
      {"leave_schedule_out", &result.new_schedule},
      {"leave_size_out", &result.new_size},
      {"leave_longest_out", &result.longer}};
  for (const auto& [name, errors] : tests) json[name] = *errors ? errors_json(**errors) : OrderedJson(nullptr);
  json["predictions"] = OrderedJson::array();
  for (const scaling::EndForecast& end : result.predictions) json["predictions"].push_back(end_json(end));
  return json;
}

}  // namespace flywheel::report
