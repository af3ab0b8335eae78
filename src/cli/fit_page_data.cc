#include "cli/fit_page_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file_system.h"
#include "base/format.h"
#include "scaling/laws/allocation.h"
#include "scaling/laws/approaches.h"
#include "scaling/laws/form.h"
#include "scaling/laws/statistics.h"

namespace flywheel::cli {
namespace {

using scaling::Fit;
using scaling::Optimum;
using scaling::Point;

constexpr double kReach = 100;   // times the highest compute that the page's curves go
constexpr double kPlanned = 10;  // likewise, the budget whose allocation it shows

const Fit& first_fit(const FitResult& result) {
  return result.forms.front().fit;
}

// Does the first form know sizes, and do the runs tell its exponents apart?
bool has_sizes(const FitResult& result) {
  return scaling::find_form(first_fit(result).law.form)->sees != scaling::Form::Sees::kCompute;
}

// Every run, or what they were merged to where there are too many to show.
OrderedJson points_json(const FitResult& result) {
  const bool merged = result.input.points.size() < result.input.table.points.size();
  const std::vector<Point>& points = merged ? result.input.points : result.input.table.points;
  OrderedJson json = OrderedJson::array();
  const auto add = [&](const Point& p, int line, bool outlier) {
    const double predicted = first_fit(result).law.loss(p.N, p.D, p.C, p.U);
    json.push_back({{"row", line > 0 ? OrderedJson(line) : OrderedJson()},
                    {"N", p.N},
                    {"D", p.D},
                    {"C", scaling::flops_of(p)},
                    {"loss", p.L},
                    {"predicted", predicted},
                    {"residual_percent", 100 * (p.L / predicted - 1)},
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
  // Those left out of the fit are still runs that somebody made.
  if (result.dropped)
    for (const scaling::Outlier& o : result.outliers)
      add(result.outlier_table.points[o.index], result.outlier_table.rows[o.index], true);
  return json;
}

double lowest_flops(const FitResult& result) {
  double lowest = INFINITY;
  for (const Point& p : result.input.points) lowest = std::min(lowest, scaling::flops_of(p));
  return lowest;
}

void add_frontier(const FitResult& result, OrderedJson& data) {
  constexpr int kSteps = 48;
  data["frontier"] = data["optima"] = OrderedJson::array();
  const double low = lowest_flops(result), high = kReach * result.forecaster.highest_flops();
  for (int i = 0; i <= kSteps; ++i) {
    const double flops = low * std::pow(high / low, static_cast<double>(i) / kSteps);
    const Optimum o = result.forecaster.compute_optimal(flops);
    data["frontier"].push_back({{"flops", flops}, {"loss", o.loss}, {"low", o.low}, {"high", o.high}});
    data["optima"].push_back({{"flops", flops}, {"N", o.N}, {"low", o.N_low}, {"high", o.N_high}});
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
  for (const scaling::MisfitModel& model : result.forecaster.models())
    data["misfit"].push_back({{"weight", model.weight}, {"misfit_sd", model.misfit_sd}, {"noise_sd", model.noise_sd}});
}

void add_allocation(const FitResult& result, OrderedJson& data) {
  data["approaches"] = data["off"] = OrderedJson::array();
  if (!has_sizes(result)) return;
  if (data["allocation"].is_object()) data["allocation"]["level"] = 95;
  for (const scaling::Approach& a : scaling::all_approaches(result.input.points, first_fit(result))) {
    if (!a.missing.empty()) {
      data["warnings"].push_back(fmt::format("approach {}: {}", a.name, a.missing));
      continue;
    }
    data["approaches"].push_back(
        {{"name", a.name}, {"a", a.a}, {"low", a.low}, {"high", a.high}, {"level", 95}, {"note", a.biases}});
  }
  if (!first_fit(result).identified) return;
  const scaling::Allocation plan =
      scaling::allocate(first_fit(result), kPlanned * result.forecaster.highest_flops(),
                        [&](double N, double D) { return result.forecaster.predict(N, D); });
  for (const scaling::OffOptimum& off : plan.off)
    data["off"].push_back({{"factor", off.factor},
                           {"extra_loss_percent", 100 * off.extra_loss.value / plan.loss.loss},
                           {"compute_multiplier", off.compute_multiple.value}});
}

std::string percent(double share) {
  return fmt::format("{:.2g}%", 100 * share);
}

std::string times(double decades) {
  return format_count(std::pow(10, decades));
}

void say_forecast(const FitResult& result, std::vector<std::string>& words) {
  const double highest = result.forecaster.highest_flops();
  const Optimum ten = result.forecaster.compute_optimal(10 * highest);
  const Optimum here = result.forecaster.compute_optimal(highest);
  words.push_back(
      fmt::format("Ten times the compute of the largest run, well divided, is forecast to take the loss from {:.4g} to "
                  "{:.4g} (90%: "
                  "{:.4g} to {:.4g}), {} lower.",
                  here.loss, ten.loss, ten.low, ten.high, percent(1 - ten.loss / here.loss)));
  if (ten.high > here.loss)
    words.push_back(
        "The interval at ten times the compute reaches above the loss at hand: that more compute helps at all cannot "
        "be "
        "concluded from these runs.");
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
      scaling::quantile(errors, 0.5), errors.size(), times(farthest), inside,
      result.forecaster.error_inflation > 1.005
          ? fmt::format(" The intervals shown are {:.2f} times as wide for it.", result.forecaster.error_inflation)
          : ""));
  words.push_back(
      fmt::format("Nothing here was tested farther than {} times beyond the runs fitted; a forecast for "
                  "more is an assumption that nothing changes.",
                  times(farthest)));
}

void say_allocation(const FitResult& result, const OrderedJson& data, std::vector<std::string>& words) {
  if (!has_sizes(result)) {
    words.push_back("The first form looks at compute alone: it says nothing about the best size.");
    return;
  }
  if (!first_fit(result).identified) {
    words.push_back("How to divide compute between size and tokens cannot be concluded from these runs.");
    return;
  }
  double low = INFINITY, high = -INFINITY, lowest_end = INFINITY, highest_end = -INFINITY;
  for (const OrderedJson& a : data["approaches"]) {
    low = std::min(low, a["a"].get<double>()), high = std::max(high, a["a"].get<double>());
    lowest_end = std::min(lowest_end, a["high"].get<double>()),
    highest_end = std::max(highest_end, a["low"].get<double>());
  }
  if (data["approaches"].size() > 1)
    words.push_back(fmt::format(
        "The ways to estimate how the best size grows with compute give exponents from {:.3f} to {:.3f}; {}.", low,
        high,
        highest_end <= lowest_end ? "all their intervals share values"
                                  : "their intervals do not all overlap, so at least "
                                    "one of their assumptions fails here"));
  double ratio = 0;
  for (const Point& p : result.input.points) ratio = std::max(ratio, p.D / p.N);
  words.push_back(
      fmt::format("No run trained on more than {:.3g} tokens a parameter: of longer training than that the law "
                  "is an extrapolation, usually too hopeful (Sardana et al. 2023).",
                  ratio));
}

void say_wall(const FitResult& result, std::vector<std::string>& words) {
  const scaling::Wall& wall = result.wall;
  if (wall.verdict == "wall")
    words.push_back(
        fmt::format("The frontier bends at its top beyond what laws of this kind miss (p = {:.2g}): expect "
                    "less than the lower runs promised.",
                    wall.p_value));
  else if (wall.verdict == "none seen")
    words.push_back(
        fmt::format("No wall is seen; a change of the slope d ln L / d ln C by less than {:.3g} would not have "
                    "been.",
                    wall.smallest_detectable));
  else
    words.push_back(fmt::format("Whether there is a wall cannot be told: {}.", wall.why));
}

}  // namespace

OrderedJson fit_page_data(const FitCommand& command, const FitResult& result, const OrderedJson& json) {
  OrderedJson data = json;
  const std::string file = Path(command.runs).filename().string();
  data["title"] = result.input.group.empty() ? file : fmt::format("{} · {}", file, result.input.group);
  data["version"] = FLYWHEEL_VERSION;
  data["command"] = fmt::format("flywheel fit {} --forms {} --huber {:g} --bootstrap {} --seed {}{}{}{}", file,
                                command.forms, command.huber, command.bootstrap, command.seed,
                                command.drop_highest > 0 ? fmt::format(" --drop-highest {}", command.drop_highest) : "",
                                command.reduce != "none" ? " --reduce " + command.reduce : "",
                                result.dropped ? " --outliers drop" : "");
  data["points"] = points_json(result);
  for (const OrderedJson& form : json["left_out"])
    data["forms"].push_back({{"name", form["name"]}, {"left_out", form["reason"]}});
  for (const OrderedJson& note : json["notes"]) data["warnings"].push_back(note);
  data["highest_flops"] = result.forecaster.highest_flops();
  add_frontier(result, data);
  add_backtests(result, data);
  add_allocation(result, data);
  std::vector<std::string> words;
  say_forecast(result, words);
  say_backtests(result, words);
  say_allocation(result, data, words);
  say_wall(result, words);
  data["words"] = words;
  return data;
}

}  // namespace flywheel::cli
