#include "report/fit/fit_page_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/format.h"
#include "base/json.h"
#include "base/statistics.h"
#include "report/fit/fit_json.h"
#include "scaling/fit/fit_detail.h"

namespace flywheel::report {
namespace {

using scaling::FitDetail;
using scaling::FitResult;
using scaling::Optimum;
using scaling::Point;
using scaling::WallVerdict;

// Every run, or what they were merged to where there are too many to show.
OrderedJson points_json(const FitResult& result) {
  const bool merged = result.input.points.size() < result.input.table.points.size();
  const std::vector<Point>& points = merged ? result.input.points : result.input.table.points;
  OrderedJson json = OrderedJson::array();
  const auto add = [&](const Point& p, int line, bool outlier) {
    const double predicted = result.first().law.loss(p.N, p.D, p.C, p.U);
    const bool finite = std::isfinite(predicted) && predicted > 0;
    json.push_back({{"row", line > 0 ? OrderedJson(line) : OrderedJson()},
                    {"N", p.N},
                    {"D", p.D},
                    {"C", scaling::flops_of(p)},
                    {"loss", p.L},
                    {"predicted", finite ? OrderedJson(predicted) : OrderedJson()},
                    {"residual_percent", finite ? OrderedJson(100 * (p.L / predicted - 1)) : OrderedJson()},
                    {"group", result.input.group},
                    {"outlier", outlier}});
  };
  const auto is_outlier = [&](int line) {
    return std::any_of(result.outliers.begin(), result.outliers.end(),
                       [&](const scaling::Outlier& o) { return result.outlier_table.rows[o.index] == line; });
  };
  for (size_t i = 0; i < points.size(); ++i) {
    const int line = merged ? 0 : result.input.table.rows[i];
    add(points[i], line, line > 0 && is_outlier(line));
  }
  // Runs left out of the fit are shown as well.
  if (result.dropped)
    for (const scaling::Outlier& o : result.outliers)
      add(result.outlier_table.points[o.index], result.outlier_table.rows[o.index], true);
  return json;
}

void add_frontier(const FitDetail& detail, bool identified, OrderedJson& data) {
  data["frontier"] = data["optima"] = OrderedJson::array();
  for (const auto& [flops, o] : detail.frontier) {
    data["frontier"].push_back({{"flops", flops}, {"loss", o.loss}, {"low", o.low}, {"high", o.high}});
    if (identified) data["optima"].push_back({{"flops", flops}, {"N", o.N}, {"low", o.N_low}, {"high", o.N_high}});
  }
}

void add_backtests(const FitResult& result, OrderedJson& data) {
  data["backtest_rows"] = OrderedJson::array();
  for (const scaling::BacktestRow& row : result.backtest)
    data["backtest_rows"].push_back({{"train_below_flops", row.train_below_flops},
                                     {"held_out_flops", row.held_out_flops},
                                     {"predicted", row.predicted},
                                     {"low", row.low},
                                     {"high", row.high},
                                     {"measured", row.measured},
                                     {"error_percent", row.error_percent},
                                     {"inside", row.inside},
                                     {"points", row.points}});
  data["misfit"] = OrderedJson::array();
  // One row a size: where shapes vary, several models have it.
  std::map<double, scaling::MisfitModel> sizes;
  for (const scaling::MisfitModel& model : result.forecaster.models()) {
    scaling::MisfitModel& size = sizes[model.misfit_sd];
    size.weight += model.weight, size.noise_sd += model.weight * model.noise_sd;
  }
  for (const auto& [misfit_sd, size] : sizes)
    data["misfit"].push_back(
        {{"weight", size.weight}, {"misfit_sd", misfit_sd}, {"noise_sd", size.noise_sd / size.weight}});
}

void add_allocation(const FitResult& result, const FitDetail& detail, OrderedJson& data) {
  data["approaches"] = data["off"] = OrderedJson::array();
  const scaling::OptimumRule& rule = result.optimum;
  if (rule.identified) {
    data["allocation"]["level"] = 95;
    data["approaches"].push_back({{"name", "the forecaster"},
                                  {"a", rule.a.value},
                                  {"low", rule.a.low},
                                  {"high", rule.a.high},
                                  {"level", 95},
                                  {"note", "of the model that forecasts; its interval holds the other approaches"}});
    for (const scaling::Approach& a : rule.approaches)
      if (a.missing.empty())
        data["approaches"].push_back(
            {{"name", a.name}, {"a", a.a}, {"low", a.low}, {"high", a.high}, {"level", 95}, {"note", a.biases}});
      else
        data["warnings"].push_back(fmt::format("approach {}: {}", a.name, a.missing));
  }
  for (const scaling::OffOptimum& off : detail.off)
    data["off"].push_back({{"factor", off.factor},
                           {"extra_loss_percent", 100 * off.extra_loss.value / detail.off_loss},
                           {"compute_multiplier", off.compute_multiple.value}});
}

std::string percent(double share) {
  return fmt::format("{:.2g}%", 100 * share);
}

std::string times(double decades) {
  return format_count(std::pow(10, decades));
}

void say_forecast(const FitResult& result, std::vector<std::string>& words) {
  const scaling::OptimumRule& rule = result.optimum;
  const Optimum here = rule.at(result.forecaster, rule.highest_flops);
  const char* path = rule.identified ? "well divided" : "divided as the ladder's best runs were";
  if (result.forecast.empty())
    words.push_back("These runs carry no forecast of more compute: they span too little of it.");
  for (const scaling::ForecastRow& row : result.forecast) {
    if (row.multiply != 10) continue;
    const Optimum& ten = row.optimum;
    words.push_back(
        fmt::format("Ten times the compute of the largest run, {}, is forecast to take the loss from {:.4g} to {:.4g} "
                    "(90%: {:.4g} to {:.4g}), {}. The forecast is always that of the {}; the forms only say what laws "
                    "of fewer assumptions give.",
                    path, here.loss, ten.loss, ten.low, ten.high,
                    ten.loss < here.loss ? percent(1 - ten.loss / here.loss) + " lower" : "no lower", rule.model));
    if (ten.high > here.loss)
      words.push_back(
          "The interval at ten times the compute reaches above the loss at hand: that more compute helps at all cannot "
          "be concluded from these runs.");
  }
  double misfit = 0;
  for (const scaling::MisfitModel& model : result.forecaster.models()) misfit += model.weight * model.misfit_sd;
  words.push_back(
      fmt::format("The intervals rest on the runs' own scatter, on how far a law of this kind misses ladders like this "
                  "one (here about "
                  "{} of the loss, judged by these runs and by public ladders), and on the distance to the runs. They "
                  "do not know of "
                  "changes of data, recipe or precision on the way up.",
                  percent(misfit)));
}

void say_backtests(const FitResult& result, std::vector<std::string>& words) {
  if (result.backtest.empty()) {
    words.push_back(
        "Forecasts could not be tested on these runs: that takes at least four levels of compute. The intervals rest "
        "on "
        "other ladders alone.");
    return;
  }
  std::vector<double> errors;
  int inside = 0;
  double farthest = 0;
  for (const scaling::BacktestRow& row : result.backtest) {
    errors.push_back(std::abs(row.error_percent));
    inside += row.inside;
    farthest = std::max(farthest, row.decades);
  }
  words.push_back(fmt::format(
      "Forecasts from the lower part of these runs missed the upper part by {:.2g}% (median of {}, up to {} times "
      "the compute fitted); {} lay inside their 90% intervals.{}",
      median(errors), errors.size(), times(farthest), inside,
      result.forecaster.error_inflation.is_one()
          ? ""
          : fmt::format(" The intervals shown are {:.2f} times as wide for it at 3x, {:.2f} times at 10x and {:.2f} "
                        "times at 100x.",
                        result.forecaster.error_inflation.at_multiple(3),
                        result.forecaster.error_inflation.at_multiple(10),
                        result.forecaster.error_inflation.at_multiple(100))));
  words.push_back(
      fmt::format("Nothing here was tested farther than {} times beyond the runs fitted; a forecast for "
                  "more is an assumption that nothing changes.",
                  times(farthest)));
}

void say_allocation(const FitResult& result, std::vector<std::string>& words) {
  const scaling::OptimumRule& rule = result.optimum;
  if (!rule.identified) {
    words.push_back(
        fmt::format("How to divide compute between size and tokens cannot be concluded from these runs: {}. "
                    "Forecasts go along the ladder's own path.",
                    rule.why));
    std::string wanted;
    for (const scaling::WantedRun& run : rule.runs_to_identify)
      wanted += fmt::format("{}{} parameters on {} tokens ({:.2g} FLOPs)", wanted.empty() ? "" : ", ",
                            format_count(run.N), format_count(run.D), run.flops);
    if (!wanted.empty()) words.push_back(fmt::format("Runs that would tell: {}.", wanted));
    return;
  }
  int known = 0;
  double low = rule.a.value, high = rule.a.value;
  for (const scaling::Approach& a : rule.approaches)
    if (a.missing.empty()) ++known, low = std::min(low, a.a), high = std::max(high, a.a);
  if (known > 0)
    words.push_back(fmt::format(
        "The ways to estimate how the best size grows with compute give exponents from {:.3f} to {:.3f}; {}.", low,
        high,
        rule.warnings.empty() ? "none contradicts the forecast"
                              : "some contradict the forecast, so at least one of their assumptions fails here"));
  double ratio = 0;
  for (const Point& p : result.input.points) ratio = std::max(ratio, p.D / p.N);
  words.push_back(
      fmt::format("No run trained on more than {:.3g} tokens a parameter: of longer training than that the law "
                  "is an extrapolation, usually too hopeful (Sardana et al. 2023).",
                  ratio));
}

void say_wall(const FitResult& result, std::vector<std::string>& words) {
  const scaling::Wall& wall = result.wall;
  if (wall.verdict == WallVerdict::kWall)
    words.push_back(
        fmt::format("The frontier bends at its top beyond what laws of this kind miss (p = {:.2g}): expect "
                    "less than the lower runs promised.",
                    wall.p_value));
  else if (wall.verdict == WallVerdict::kNoneSeen)
    words.push_back(
        fmt::format("No wall is seen; a change of the slope d ln L / d ln C by {:.3g} or more would have been seen in "
                    "80% of cases, a smaller one less often.",
                    wall.smallest_detectable));
  else
    words.push_back(fmt::format("Whether there is a wall cannot be told: {}.", wall.why));
}

}  // namespace

OrderedJson fit_page_data(const FitResult& result, const FitOrigin& origin) {
  const FitDetail detail = scaling::fit_detail(result);
  OrderedJson data = fit_json(result);
  data["title"] = result.input.group.empty() ? origin.file : fmt::format("{} · {}", origin.file, result.input.group);
  data["version"] = origin.version;
  data["command"] = origin.command;
  data["points"] = points_json(result);
  for (const OrderedJson& form : data["left_out"])
    data["forms"].push_back({{"name", form["name"]}, {"left_out", form["reason"]}});
  for (const OrderedJson& note : data["notes"]) data["warnings"].push_back(note);
  data["highest_flops"] = result.forecaster.highest_flops();
  add_frontier(detail, result.optimum.identified, data);
  add_backtests(result, data);
  add_allocation(result, detail, data);
  std::vector<std::string> words;
  say_forecast(result, words);
  say_backtests(result, words);
  say_allocation(result, words);
  say_wall(result, words);
  data["words"] = words;
  return data;
}

}  // namespace flywheel::report
