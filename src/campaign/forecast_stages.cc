// The campaign's second half: the forecast of the top rung, the rung itself, the score, and what follows from all of
// it.
#include <algorithm>
#include <cmath>

#include "campaign/state.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {
namespace {

constexpr int kSampleTokens = 400;
constexpr double kForecastMultiples[] = {3, 10, 100};

scaling::Forecaster calibrated_forecaster(const std::vector<scaling::Point>& points,
                                          const std::vector<scaling::BacktestRow>& backtests) {
  scaling::Forecaster forecaster(points);
  forecaster.error_inflation = scaling::inflation_from_backtest(backtests);
  return forecaster;
}

}  // namespace

void Campaign::State::forecast_top() {
  const Json decision = decide("top", [&] {
    const double reference = plan.rungs.back();
    LadderLimits left = limits(kTopSafety);
    double flops = reference;
    if (!out_of_budget)
      flops = top_rung_flops(options.recipe, throughput, left, centre_at(reference), reference, plan.top_sizes,
                             reference, trunks());
    const double below = plan.rungs[plan.rungs.size() - 2];
    Json json{{"flops", std::max(flops, kSmallestStep * below)}, {"centre", centre_at(flops)}};
    return json;
  });
  plan.rungs.back() = decision.at("flops").get<double>();
  if (ledger.last("forecast")) return;
  const auto below = points(false);
  const auto runs = isoflop_runs(options.recipe, plan.rungs.back(), decision.at("centre").get<double>(), plan.top_sizes,
                                 max_tokens());
  const scaling::Forecaster forecaster = calibrated_forecaster(below, scaling::backtest(below));
  Json each = Json::array();
  const scaling::Optimum* best = nullptr;
  std::vector<scaling::Optimum> predictions;
  for (const LadderRun& run : runs) predictions.push_back(forecaster.predict(run.parameters, run.tokens));
  for (size_t i = 0; i < runs.size(); ++i) {
    if (best == nullptr || predictions[i].loss < best->loss) best = &predictions[i];
    each.push_back({{"run", fmt::format("top-r{}-n{}", plan.rungs.size() - 1, i)},
                    {"parameters", runs[i].parameters},
                    {"tokens", runs[i].tokens},
                    {"predicted", predictions[i].loss},
                    {"low", predictions[i].low},
                    {"high", predictions[i].high}});
  }
  ledger.append_all({{"fit", fit_record("below the top rung", scaling::fit(below, fit_options()), below)},
                     {"forecast", Json{{"name", "top rung"},
                                       {"flops", plan.rungs.back()},
                                       {"train_below_flops", plan.rungs[plan.rungs.size() - 2]},
                                       {"predicted", best->loss},
                                       {"low", best->low},
                                       {"high", best->high},
                                       {"runs", each}}}});
  say(fmt::format(
      "forecast, before its first run: the top rung ({}) will reach {:.4f} bits per byte (90%: {:.4f} to {:.4f})",
      format_flops(plan.rungs.back()), best->loss, best->low, best->high));
}

void Campaign::State::top_rung() {
  const int top = static_cast<int>(plan.rungs.size()) - 1;
  const Json decision = decide("top", [] { return Json::object(); });
  const auto runs = sized("top", top,
                          isoflop_runs(options.recipe, plan.rungs.back(), decision.at("centre").get<double>(),
                                       plan.top_sizes, max_tokens()));
  recall_fillers();
  const auto rows = ensure(runs, true);
  filler_pool.push_back(runs[runs.size() / 2]);
  recall_fillers();
  if (ledger.last("score")) return;
  std::optional<double> best;
  for (const auto& row : rows)
    if (row.state == "done" && row.bits_per_byte && (!best || *row.bits_per_byte < *best)) best = row.bits_per_byte;
  if (!best) {
    say("no run of the top rung finished within the budget: the forecast could not be tested");
    return;
  }
  const Json forecast = ledger.last("forecast")->payload;
  const double predicted = forecast.at("predicted").get<double>();
  const double error = 100 * (predicted - *best) / *best;
  const bool inside = *best >= forecast.at("low").get<double>() && *best <= forecast.at("high").get<double>();
  ledger.append("score", Json{{"name", "top rung"},
                              {"predicted", predicted},
                              {"measured", *best},
                              {"error_percent", error},
                              {"inside", inside}});
  say(fmt::format("top rung measured: {:.4f} bits per byte; the forecast was off by {:+.2f}%, {} its interval", *best,
                  error, inside ? "inside" : "outside"));
}

// What time is left buys replicates, the longest that fit first.
void Campaign::State::fill_rest() {
  if (options.budget.seconds <= 0) return;
  while (!out_of_budget) {
    std::vector<Planned> batch;
    std::vector<double> free_at(static_cast<size_t>(options.slots), 0.0);
    const double left = seconds_left();
    while (static_cast<int>(batch.size()) < 4 * options.slots) {
      auto slot = std::min_element(free_at.begin(), free_at.end());
      const auto filler = choose_filler(left - *slot);
      if (!filler) break;
      *slot += expected_seconds(filler->ladder);
      remember(*filler);
      batch.push_back(*filler);
    }
    if (batch.empty()) return;
    ensure(batch, true);
  }
}

void Campaign::State::conclude() {
  if (!ledger.records("wall").empty()) return;
  const auto all = points(true);
  const auto backtests = scaling::backtest(all);
  const scaling::Forecaster forecaster = calibrated_forecaster(all, backtests);
  Json rows = Json::array();
  for (const auto& row : backtests)
    rows.push_back({{"train_below_flops", row.train_below_flops},
                    {"held_out_flops", row.held_out_flops},
                    {"predicted", row.predicted},
                    {"low", row.low},
                    {"high", row.high},
                    {"measured", row.measured},
                    {"error_percent", row.error_percent},
                    {"inside", row.inside}});
  Json future = Json::array();
  for (double multiple : kForecastMultiples) {
    const double flops = multiple * plan.rungs.back();
    const scaling::Optimum optimum = forecaster.compute_optimal(flops);
    future.push_back({{"multiply", multiple},
                      {"flops", flops},
                      {"params", optimum.N},
                      {"tokens", optimum.D},
                      {"bits_per_byte", optimum.loss},
                      {"low", optimum.low},
                      {"high", optimum.high}});
  }
  Json frontier = Json::array();
  const double first = plan.rungs.front(), last = 100 * plan.rungs.back();
  for (int i = 0; i <= 48; ++i) {
    const double flops = first * std::pow(last / first, i / 48.0);
    const scaling::Optimum optimum = forecaster.compute_optimal(flops);
    frontier.push_back(
        {{"flops", flops}, {"bits_per_byte", optimum.loss}, {"low", optimum.low}, {"high", optimum.high}});
  }
  const scaling::Wall wall = scaling::wall_test(all, fit_options());
  Json fitted = fit_record("all", scaling::fit(all, fit_options()), all);
  fitted["backtest"] = rows;
  fitted["frontier"] = frontier;
  ledger.append_all({{"fit", fitted},
                     {"forecast", Json{{"name", "future"}, {"forecast", future}}},
                     {"wall", Json{{"verdict", wall.verdict},
                                   {"slope", wall.slope},
                                   {"slope_low", wall.slope_low},
                                   {"slope_high", wall.slope_high},
                                   {"smallest_detectable", wall.smallest_detectable},
                                   {"why", wall.why}}}});
  for (const Json& f : future)
    say(fmt::format("{:g}x more compute: {:.4f} bits per byte (90%: {:.4f} to {:.4f}) with {} parameters and {} tokens",
                    f.at("multiply").get<double>(), f.at("bits_per_byte").get<double>(), f.at("low").get<double>(),
                    f.at("high").get<double>(), format_count(f.at("params").get<double>()),
                    format_count(f.at("tokens").get<double>())));
  say(fmt::format("wall: {} ({})", wall.verdict, wall.why));
}

// The best model on audit and, once in the life of this lab, on locked.
void Campaign::State::last_evaluations() {
  const auto best = best_run(ledger);
  if (!best) return;
  const Path directory = options.lab / "runs" / best->run;
  const double begun = clock.now_seconds();
  for (const char* split : {"audit", "locked"}) {
    if (final_evaluation(ledger, split)) continue;
    const Evaluation result = tools.evaluate(directory, split, kFinalEvalTokens);
    ledger.append("evaluation", Json{{"run", best->run},
                                     {"split", split},
                                     {"tokens", result.tokens},
                                     {"loss", result.loss},
                                     {"bits_per_byte", result.bits_per_byte}});
    say(fmt::format("best model ({}) on the {} split: {:.4f} bits per byte", best->run, split, result.bits_per_byte));
  }
  locked_gain();
  const auto notes = ledger.records("note");
  if (std::none_of(notes.begin(), notes.end(), [](const auto& r) { return r.payload.value("what", "") == "sample"; }))
    ledger.append(
        "note",
        Json{{"what", "sample"}, {"run", best->run}, {"prompt", ""}, {"text", tools.sample(directory, kSampleTokens)}});
  if (ledger.records("spend").empty())
    ledger.append("spend", Json{{"what", "last evaluations and sample"}, {"seconds", clock.now_seconds() - begun}});
}

}  // namespace flywheel::campaign
