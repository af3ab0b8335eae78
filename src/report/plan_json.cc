#include "report/plan_json.h"

#include "base/json.h"
#include "report/fit/fit_json.h"

namespace flywheel::report {
namespace {

using scaling::Range;

OrderedJson range_json(const Range& range) {
  return {{"value", range.value}, {"low", range.low}, {"high", range.high}};
}

OrderedJson rule_json(const scaling::RateRule& rule) {
  return {{"missing", rule.missing.empty() ? OrderedJson() : OrderedJson(rule.missing)},
          {"coefficient", range_json(rule.coefficient)},
          {"n", range_json(rule.n)},
          {"d", range_json(rule.d)}};
}

OrderedJson size_json(const RecipeSize& size) {
  return {{"layers", size.layers},
          {"width", size.width},
          {"heads", size.heads},
          {"feed_forward", size.feed_forward},
          {"context", size.context},
          {"params", size.parameters},
          {"batch_sequences", size.batch_sequences},
          {"steps", size.steps},
          {"tokens", size.tokens},
          {"flops", size.flops},
          {"matrix_learning_rate", size.matrix_learning_rate},
          {"head_learning_rate", size.head_learning_rate},
          {"loss", size.loss}};
}

OrderedJson served_size_json(const std::optional<scaling::ServedSize>& size) {
  if (!size) return nullptr;
  return {{"params", range_json(size->N)},
          {"tokens", size->served.D},
          {"loss", size->served.loss},
          {"train_flops", size->served.train_flops},
          {"inference_flops", size->served.inference_flops}};
}

OrderedJson served_json(const scaling::ServedPlan& served) {
  return {{"tokens_served", served.tokens},
          {"same_loss", served_size_json(served.same_loss)},
          {"same_total", served_size_json(served.same_total)},
          {"saving", served.saving ? OrderedJson(*served.saving) : OrderedJson()}};
}

OrderedJson row_json(const scaling::Plan& plan, const scaling::PlanRequest& request, const scaling::PlanResult& result,
                     const RecipeSize* size) {
  const scaling::Allocation& a = plan.allocation;
  OrderedJson row = {{"flops", a.flops}};
  add_size(row, result.optimum, a.N.value, a.D.value);
  if (a.identified) row["params"] = range_json(a.N), row["tokens"] = range_json(a.D);
  row["tokens_per_parameter"] = a.identified ? range_json(a.tokens_per_parameter) : OrderedJson();
  row["loss"] = a.loss.loss, row["low"] = a.loss.low, row["high"] = a.loss.high;
  row["compute_multiple_of_plan"] = a.identified ? range_json(a.compute_multiple_of_plan) : OrderedJson();
  row["off"] = row["by_approach"] = OrderedJson::array();
  for (const scaling::OffOptimum& off : a.off)
    row["off"].push_back({{"factor", off.factor},
                          {"extra_loss", range_json(off.extra_loss)},
                          {"compute_multiple", range_json(off.compute_multiple)}});
  for (const auto& [name, parameters] : plan.by_approach)
    row["by_approach"].push_back({{"name", name}, {"params", parameters}});
  if (plan.learning_rate) row["learning_rate"] = range_json(*plan.learning_rate);
  if (plan.batch) row["batch"] = range_json(*plan.batch);
  if (size != nullptr) row["concrete"] = size_json(*size);
  if (request.flops_per_second > 0) {
    row["seconds"] = plan.seconds;
    row["gpu_hours"] = plan.device_hours;
    row["gpus"] = request.devices;
    row["flops_per_second"] = request.flops_per_second;
  }
  if (plan.served) row["inference"] = served_json(*plan.served);
  row["notes"] = plan.notes;
  return row;
}

OrderedJson approach_json(const scaling::Approach& approach) {
  const bool known = approach.missing.empty();
  return {{"name", approach.name},
          {"a", known ? OrderedJson(approach.a) : OrderedJson()},
          {"low", known ? OrderedJson(approach.low) : OrderedJson()},
          {"high", known ? OrderedJson(approach.high) : OrderedJson()},
          {"used", approach.used},
          {"missing", known ? OrderedJson() : OrderedJson(approach.missing)},
          {"biases", approach.biases}};
}

}  // namespace

OrderedJson plan_json(const scaling::PlanRuns& runs, const std::string& unit, const scaling::PlanRequest& request,
                      const scaling::PlanResult& result, const std::vector<RecipeSize>& sizes) {
  OrderedJson json = {{"source", runs.name},
                      {"runs", runs.points.size()},
                      {"unit", unit},
                      {"lowest_flops", runs.lowest_flops},
                      {"highest_flops", runs.highest_flops},
                      {"form", result.fit.law.form},
                      {"parameters", OrderedJson::object()},
                      {"not_identified", OrderedJson(result.fit.not_identified)},
                      {"identified", result.fit.identified},
                      {"warnings", runs.warnings},
                      {"notes", result.notes},
                      {"optimum", optimum_json(result.optimum)},
                      {"plans", OrderedJson::array()}};
  for (const auto& [name, value] : result.fit.law.parameters)
    json["parameters"][name] = result.fit.not_identified.contains(name) ? OrderedJson() : OrderedJson(value);
  for (const std::string& warning : result.fit.warnings) json["warnings"].push_back(warning);
  for (const std::string& warning : result.optimum.warnings) json["warnings"].push_back(warning);
  for (size_t i = 0; i < result.plans.size(); ++i)
    json["plans"].push_back(row_json(result.plans[i], request, result, sizes.empty() ? nullptr : &sizes[i]));
  json["approaches"] = OrderedJson::array();
  for (const scaling::Approach& approach : result.optimum.approaches)
    json["approaches"].push_back(approach_json(approach));
  if (!runs.sweep.empty()) {
    size_t used = 0;
    for (const scaling::RateCell& cell : result.rates.cells) used += cell.trouble.empty();
    json["rates"] = {{"cells", result.rates.cells.size()},
                     {"used", used},
                     {"learning_rate", rule_json(result.rates.learning_rate)},
                     {"batch", rule_json(result.rates.batch)}};
  }
  return json;
}

}  // namespace flywheel::report
