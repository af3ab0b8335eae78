// The forecast of the top rung, its runs, the forecast's score, and the conclusions of the campaign.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "campaign/points.h"
#include "campaign/stages/stages.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/forecast/wall.h"

namespace flywheel::campaign {
namespace {

constexpr int kSampleTokens = 400;
constexpr double kForecastMultiples[] = {3, 10, 100};
constexpr int kFrontierPoints = 48;

scaling::Forecaster calibrated_forecaster(const std::vector<scaling::Point>& points,
                                          const std::vector<scaling::BacktestRow>& backtests) {
  scaling::Forecaster forecaster(points);
  forecaster.error_inflation = scaling::inflation_from_backtest(backtests);
  return forecaster;
}

scaling::FitOptions fit_options(const Lab& lab) {
  return {.seed = lab.options.seed, .threads = 1};
}

}  // namespace

ledger::EvaluationRecord evaluated(const Lab& lab, const std::string& run, protocol::Split split, int64_t tokens) {
  const workload::Evaluation result = lab.workload.evaluate(lab.runs() / run, split, tokens);
  return {.run = run,
          .split = split,
          .tokens = result.tokens,
          .loss = result.loss,
          .bits_per_byte = result.bits_per_byte,
          .segments = result.segments,
          .bytes = result.bytes,
          .documents = result.documents,
          .sampling_sd = result.sampling_sd};
}

void forecast_top(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                  const Branches& branches, Ladder& ladder) {
  LadderPlan& plan = ladder.plan;
  const auto decision = decisions.decide<ledger::TopDecision>([&] {
    const double reference = plan.rungs.back();
    double flops = reference;
    if (!budget.is_spent())
      flops = top_rung_flops(lab.workload, *ladder.configuration, book.throughput(), budget.limits(kTopSafety),
                             optimum_so_far(lab, ladder, reference), reference, plan.top_sizes, reference,
                             branches.trunks());
    const double below = plan.rungs[plan.rungs.size() - 2];
    return ledger::TopDecision{.flops = std::max(flops, kSmallestStep * below),
                               .centre = optimum_so_far(lab, ladder, flops)};
  });
  plan.rungs.back() = decision.flops;
  if (lab.ledger.last<ledger::TopForecast>()) return;
  const std::vector<scaling::Point> below = points_below_top(lab, ladder);
  const auto runs = lab.workload.isoflop_runs(*ladder.configuration, ladder.top_flops(), decision.centre,
                                              plan.top_sizes, lab.max_tokens());
  const scaling::Forecaster forecaster = calibrated_forecaster(below, scaling::backtest(below));
  ledger::TopForecast forecast{.flops = ladder.top_flops(), .train_below_flops = plan.rungs[plan.rungs.size() - 2]};
  for (size_t i = 0; i < runs.size(); ++i) {
    const scaling::Optimum one = forecaster.predict(runs[i].parameters, runs[i].tokens);
    if (i == 0 || one.loss < forecast.predicted)
      forecast.predicted = one.loss, forecast.low = one.low, forecast.high = one.high;
    forecast.runs.push_back({.run = fmt::format("top-r{}-n{}", ladder.top(), i),
                             .parameters = runs[i].parameters,
                             .tokens = runs[i].tokens,
                             .predicted = one.loss,
                             .low = one.low,
                             .high = one.high});
  }
  lab.ledger.append_all({fit_record("below the top rung", scaling::fit(below, fit_options(lab)), below), forecast});
  lab.say(fmt::format(
      "forecast, before its first run: the top rung ({}) will reach {:.4f} bits per byte (90%: {:.4f} to {:.4f})",
      format_flops(forecast.flops), forecast.predicted, forecast.low, forecast.high));
}

Script<> top_rung(const Lab& lab, Decisions& decisions, const Branches& branches, Replicates& replicates, RunLoop& loop,
                  const Ladder& ladder) {
  const auto decision = decisions.taken<ledger::TopDecision>();
  const auto sizes = lab.workload.isoflop_runs(*ladder.configuration, ladder.top_flops(), decision->centre,
                                               ladder.plan.top_sizes, lab.max_tokens());
  const std::vector<PlannedRun> runs = runs_of_rung(lab, branches, ladder, protocol::Stage::kTop, ladder.top(), sizes);
  const std::vector<ledger::RunRow> rows = co_await loop.ensure(runs, RunLoop::IdleCores::kReplicate);
  replicates.allow(runs[runs.size() / 2]);
  if (lab.ledger.last<ledger::ScoreRecord>()) co_return;
  std::optional<double> best;
  for (const ledger::RunRow& row : rows)
    if (row.state == protocol::RunState::kDone && row.bits_per_byte && (!best || *row.bits_per_byte < *best))
      best = row.bits_per_byte;
  if (!best) {
    lab.say("no run of the top rung finished within the budget: the forecast could not be tested");
    co_return;
  }
  const ledger::TopForecast forecast = lab.ledger.last<ledger::TopForecast>()->value;
  const ledger::ScoreRecord score{.predicted = forecast.predicted,
                                  .measured = *best,
                                  .error_percent = 100 * (forecast.predicted - *best) / *best,
                                  .inside = *best >= forecast.low && *best <= forecast.high};
  lab.ledger.append(score);
  lab.say(fmt::format("top rung measured: {:.4f} bits per byte; the forecast was off by {:+.2f}%, {} its interval",
                      score.measured, score.error_percent, score.inside ? "inside" : "outside"));
}

Script<> replicate_rest(const CampaignBudget& budget, Replicates& replicates, RunLoop& loop) {
  if (!budget.is_time()) co_return;
  while (!budget.is_spent()) {
    std::vector<PlannedRun> batch = replicates.batch(budget);
    if (batch.empty()) co_return;
    co_await loop.ensure(std::move(batch), RunLoop::IdleCores::kReplicate);
  }
}

void conclude(const Lab& lab, const Ladder& ladder) {
  if (lab.ledger.last<ledger::WallRecord>()) return;
  const std::vector<scaling::Point> all = ladder_points(lab.ledger, 1e300);
  const std::vector<scaling::BacktestRow> backtests = scaling::backtest(all);
  const scaling::Forecaster forecaster = calibrated_forecaster(all, backtests);

  ledger::FitRecord fitted = fit_record("all", scaling::fit(all, fit_options(lab)), all);
  fitted.backtest.emplace();
  for (const scaling::BacktestRow& row : backtests)
    fitted.backtest->push_back({.train_below_flops = row.train_below_flops,
                                .held_out_flops = row.held_out_flops,
                                .predicted = row.predicted,
                                .low = row.low,
                                .high = row.high,
                                .measured = row.measured,
                                .error_percent = row.error_percent,
                                .inside = row.inside});
  fitted.frontier.emplace();
  const double first = ladder.plan.rungs.front(), last = 100 * ladder.top_flops();
  for (int i = 0; i <= kFrontierPoints; ++i) {
    const double flops = first * std::pow(last / first, static_cast<double>(i) / kFrontierPoints);
    const scaling::Optimum optimum = forecaster.compute_optimal(flops);
    fitted.frontier->push_back(
        {.flops = flops, .bits_per_byte = optimum.loss, .low = optimum.low, .high = optimum.high});
  }
  ledger::FutureForecast future;
  for (const double multiple : kForecastMultiples) {
    const double flops = multiple * ladder.top_flops();
    const scaling::Optimum optimum = forecaster.compute_optimal(flops);
    future.forecast.push_back({.multiply = multiple,
                               .flops = flops,
                               .params = optimum.N,
                               .tokens = optimum.D,
                               .bits_per_byte = optimum.loss,
                               .low = optimum.low,
                               .high = optimum.high});
  }
  const scaling::Wall wall = scaling::wall_test(all, lab.options.seed);
  const ledger::WallRecord wall_record{.verdict = wall.verdict,
                                       .slope = wall.slope,
                                       .slope_low = wall.slope_low,
                                       .slope_high = wall.slope_high,
                                       .smallest_detectable = wall.smallest_detectable,
                                       .why = wall.why};
  lab.ledger.append_all({fitted, future, wall_record});
  for (const auto& f : future.forecast)
    lab.say(
        fmt::format("{:g}x more compute: {:.4f} bits per byte (90%: {:.4f} to {:.4f}) with {} parameters and {} tokens",
                    f.multiply, f.bits_per_byte, f.low, f.high, format_count(f.params), format_count(f.tokens)));
  lab.say(fmt::format("wall: {} ({})", name(wall.verdict), wall.why));
}

Script<> last_evaluations(const Lab& lab, RunLoop& loop) {
  const auto best = best_run(lab.ledger);
  if (!best) co_return;
  const double begun = lab.clock.now_seconds();
  for (const protocol::Split split : {protocol::Split::kAudit, protocol::Split::kLocked}) {
    if (!workload::can_be_judged_on(lab.workload, split)) continue;
    if (final_evaluation(lab.ledger, split)) continue;
    co_await loop.give_way();
    const ledger::EvaluationRecord evaluation = evaluated(lab, best->run, split, kFinalEvalTokens);
    lab.ledger.append(evaluation);
    lab.say(fmt::format("best model ({}) on the {} split: {:.4f} bits per byte", best->run, name(split),
                        evaluation.bits_per_byte));
  }
  co_await measure_locked_gain(lab, loop);
  if (!lab.ledger.last<ledger::SampleNote>()) {
    ledger::SampleNote note{.run = best->run, .prompt = "", .text = ""};
    note.text = lab.workload.sample(lab.runs() / best->run, kSampleTokens);
    lab.ledger.append(note);
  }
  if (!lab.ledger.last<ledger::SpendRecord>())
    lab.ledger.append(
        ledger::SpendRecord{.what = "last evaluations and sample", .seconds = lab.clock.now_seconds() - begun});
}

}  // namespace flywheel::campaign
