// The forecast of the top rung, its runs, the forecast's score, and the conclusions of the campaign.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/statistics.h"
#include "campaign/document_sums.h"
#include "campaign/extensions.h"
#include "campaign/points.h"
#include "campaign/run_forecast.h"
#include "campaign/stages/stages.h"
#include "scaling/allocation/optimum_rule.h"
#include "scaling/fit/judged_runs.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/forecast/wall.h"

namespace flywheel::campaign {
namespace {

constexpr int kSampleTokens = 400;
constexpr double kForecastMultiples[] = {3, 10, 100};
constexpr int kFrontierPoints = 48;
constexpr double kMostFurther = 64;          // of a top rung over the last one, after an extension of the budget
constexpr size_t kMostLookedAt = 4;          // models, the best first, until one can be looked at
constexpr int64_t kFewestLastTokens = 1024;  // below, a last look says nothing

scaling::FitOptions fit_options(const Lab& lab) {
  return {.seed = lab.options.seed, .threads = 1};
}

// The forecast is judged by the least loss among the runs that ended, beside the forecast of that very least loss: with
// fewer runs it is higher.
std::optional<ledger::ScoreRecord> score_of(const ledger::TopForecast& forecast,
                                            const std::vector<ledger::RunRow>& rows) {
  std::vector<size_t> ended;
  double best = INFINITY;
  for (size_t i = 0; i < forecast.runs.size(); ++i)
    for (const ledger::RunRow& row : rows)
      if ((row.run == forecast.runs[i].run || row.run == forecast.runs[i].run + std::string(kInFull)) &&
          row.state == protocol::RunState::kDone && row.bits_per_byte) {
        ended.push_back(i);
        best = std::min(best, *row.bits_per_byte);
      }
  if (ended.empty()) return std::nullopt;
  ledger::ScoreRecord score{.predicted = forecast.predicted, .measured = best};
  double low = forecast.low, high = forecast.high;
  if (forecast.covariance) {
    std::vector<double> ln_loss, covariance;
    for (const size_t i : ended) {
      ln_loss.push_back(std::log(forecast.runs[i].predicted));
      for (const size_t j : ended) covariance.push_back((*forecast.covariance)[i * forecast.runs.size() + j]);
    }
    const LeastLoss least(ln_loss, covariance);
    score.predicted = least.quantile(0.5);
    low = least.quantile(0.05);
    high = least.quantile(0.95);
    score.pit = least.probability_below(best);
  }
  score.error_percent = 100 * (score.predicted - best) / best;
  score.inside = best >= low && best <= high;
  score.interval_score = interval_score(low, high, best);
  return score;
}

ledger::OptimumRecord optimum_record(const scaling::OptimumRule& rule) {
  ledger::OptimumRecord record{
      .identified = rule.identified, .why = rule.why, .model = rule.model, .warnings = rule.warnings};
  if (rule.identified) record.a = rule.a.value, record.low = rule.a.low, record.high = rule.a.high;
  for (const scaling::WantedRun& run : rule.runs_to_identify)
    record.runs_to_identify.push_back({.params = run.N, .tokens = run.D, .flops = run.flops});
  return record;
}

ledger::FutureForecast::Entry future_entry(const scaling::OptimumRule& rule, const scaling::Forecaster& forecaster,
                                           double multiple, double flops) {
  ledger::FutureForecast::Entry entry{
      .multiply = multiple, .along = rule.identified ? "optimum" : "ladder", .flops = flops};
  if (!rule.reaches(flops)) return entry;
  const scaling::Optimum optimum = rule.at(forecaster, flops);
  entry.bits_per_byte = optimum.loss;
  entry.low = optimum.low;
  entry.high = optimum.high;
  if (rule.identified) entry.params = optimum.N, entry.tokens = optimum.D;
  return entry;
}

std::string in_words(const ledger::FutureForecast::Entry& entry) {
  if (!std::isfinite(entry.bits_per_byte))
    return fmt::format("{:g}x more compute: too far beyond these runs for a forecast", entry.multiply);
  return fmt::format("{:g}x more compute: {:.4f} bits per byte (90%: {:.4f} to {:.4f}) {}", entry.multiply,
                     entry.bits_per_byte, entry.low, entry.high,
                     std::isfinite(entry.params) ? fmt::format("with {} parameters and {} tokens",
                                                               format_count(entry.params), format_count(entry.tokens))
                                                 : std::string("along the ladder's own sizes"));
}

// The last look may be at the largest of the top rung's models.
void keep_last_look(const Lab& lab, const workload::Configuration& configuration,
                    const std::vector<workload::SizedRun>& sizes, CampaignBudget& budget) {
  if (!budget.is_flops()) return;
  double most = 0;
  for (const workload::SizedRun& size : sizes)
    most = std::max(most, lab.workload.evaluation_flops_per_token(configuration, size));
  LastLook last_look = budget.last_look();
  last_look.flops = 2 * static_cast<double>(last_look.tokens) * most;
  budget.keep(last_look);
}

// Tokens of each of `looks` evaluations of this run: fewer than planned where the budget does not pay for them.
int64_t last_tokens(const Lab& lab, const CampaignBudget& budget, const RunBook& book, const std::string& run,
                    size_t looks) {
  const int64_t tokens = budget.last_look().tokens;
  const PlannedRun* planned = book.find(run);
  if (!budget.is_flops() || planned == nullptr) return tokens;
  const double per_token = lab.workload.evaluation_flops_per_token(*planned->configuration, planned->size);
  const double left = lab.options.budget.flops - lab.ledger.spend().flops() - budget.last_look().gain_flops;
  return std::clamp<int64_t>(static_cast<int64_t>(left / (static_cast<double>(looks) * per_token)), 0, tokens);
}

// Of the largest runs of the ladder that finished: the top rung's may have failed, or not have fitted.
double reached_flops(const Lab& lab) {
  double flops = 0;
  for (const LadderPoint& point : ladder_runs(lab.ledger, 1e300)) flops = std::max(flops, point.rung_flops);
  return flops;
}

// Whether the forecast of this number has its score, which stands before the next forecast.
bool is_scored(const ledger::Ledger& ledger, int number) {
  const auto forecasts = ledger.all<ledger::TopForecast>();
  const auto i = static_cast<size_t>(number);
  if (i >= forecasts.size()) return false;
  const int64_t end = i + 1 < forecasts.size() ? forecasts[i + 1].sequence : INT64_MAX;
  for (const auto& score : ledger.all<ledger::ScoreRecord>())
    if (score.sequence > forecasts[i].sequence && score.sequence < end) return true;
  return false;
}

// Records the forecast of the ladder's top rung; `number`: of tops before it.
void record_forecast(const Lab& lab, const Branches& branches, const Ladder& ladder,
                     const std::vector<workload::SizedRun>& sizes, int number) {
  const LadderPlan& plan = ladder.plan;
  if (std::ssize(lab.ledger.all<ledger::TopForecast>()) > number) return;
  const std::vector<LadderPoint> below = ladder_runs(lab.ledger, ladder.top_flops() * 0.999);
  const std::vector<PlannedRun> runs = runs_of_rung(lab, branches, ladder, protocol::Stage::kTop, ladder.top(), sizes);
  std::vector<RunSite> sites;
  for (const PlannedRun& run : runs)
    sites.push_back({.N = run.size.parameters,
                     .D = run.size.tokens,
                     .branched = !run.trunk.empty(),
                     .unique = static_cast<double>(lab.options.train_tokens)});
  const RunForecasts forecasts = forecast_runs(below, sites);
  const LeastLoss least(forecasts.ln_loss, forecasts.covariance);
  ledger::TopForecast forecast{.flops = ladder.top_flops(),
                               .train_below_flops = plan.rungs[plan.rungs.size() - 2],
                               .predicted = least.quantile(0.5),
                               .low = least.quantile(0.05),
                               .high = least.quantile(0.95)};
  for (size_t i = 0; i < runs.size(); ++i) {
    const double half = kNormal90 * std::sqrt(forecasts.covariance[i * runs.size() + i]);
    forecast.runs.push_back({.run = runs[i].id,
                             .parameters = runs[i].size.parameters,
                             .tokens = runs[i].size.tokens,
                             .predicted = std::exp(forecasts.ln_loss[i]),
                             .low = std::exp(forecasts.ln_loss[i] - half),
                             .high = std::exp(forecasts.ln_loss[i] + half)});
  }
  forecast.covariance = forecasts.covariance;
  const std::vector<scaling::Point> points = ladder_points(lab.ledger, ladder.top_flops() * 0.999);
  lab.ledger.append_all({fit_record("below the top rung", scaling::fit(points, fit_options(lab)), points), forecast});
  lab.say(fmt::format(
      "forecast, before its first run: the best of {} runs of the top rung ({}) will reach {:.4f} bits per byte (90%: "
      "{:.4f} to {:.4f})",
      runs.size(), format_flops(forecast.flops), forecast.predicted, forecast.low, forecast.high));
}

// Runs the ladder's top rung and scores its forecast, which is the one of this number.
Script<> measured_top(const Lab& lab, const Branches& branches, Replicates& replicates, RunLoop& loop,
                      const Ladder& ladder, double centre, int number) {
  const auto sizes = lab.workload.isoflop_runs(*ladder.configuration, ladder.top_flops(), centre, ladder.plan.top_sizes,
                                               lab.max_tokens());
  const std::vector<PlannedRun> runs = runs_of_rung(lab, branches, ladder, protocol::Stage::kTop, ladder.top(), sizes);
  const std::vector<ledger::RunRow> rows = co_await loop.ensure(runs, RunLoop::IdleCores::kReplicate);
  replicates.allow(runs[runs.size() / 2]);
  if (is_scored(lab.ledger, number)) co_return;
  const std::optional<ledger::ScoreRecord> score =
      score_of(lab.ledger.all<ledger::TopForecast>().at(static_cast<size_t>(number)).value, rows);
  if (!score) {
    lab.say("no run of the top rung finished within the budget: the forecast could not be tested");
    co_return;
  }
  lab.ledger.append(*score);
  lab.say(fmt::format("top rung measured: {:.4f} bits per byte; the forecast was off by {:+.2f}%, {} its interval",
                      score->measured, score->error_percent, score->inside ? "inside" : "outside"));
}

// The highest rung that what is left of a longer budget reaches, above a top that was measured.
ledger::FurtherTopDecision further_top(const Lab& lab, const CampaignBudget& budget, const RunBook& book,
                                       const Branches& branches, const Ladder& ladder, int last_top) {
  const double reached = ladder.top_flops(), most = kMostFurther * reached;
  if (budget.is_spent() || !is_scored(lab.ledger, last_top)) return {};
  Ladder longer = ladder;  // the top so far is one of its middle rungs
  longer.plan.rungs.push_back(most);
  const double centre = optimum_so_far(lab, longer, reached);
  const double flops = top_rung_flops(lab.workload, *ladder.configuration, book.throughput(), budget.limits(kTopSafety),
                                      centre, reached, ladder.plan.top_sizes, most, branches.trunks());
  if (flops < kSmallestStep * reached) return {};
  return {.climb = true, .flops = flops, .centre = optimum_so_far(lab, longer, flops)};
}

// Whether a run of this rung is among them.
bool is_among(const std::vector<ledger::RunRow>& rows, const std::string& run, double rung_flops) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const ledger::RunRow& row) { return row.run == run && row.rung_flops == rung_flops; });
}

}  // namespace

ledger::EvaluationRecord evaluated(const Lab& lab, const std::string& run, protocol::Split split, int64_t tokens) {
  const workload::Evaluation result = lab.workload.evaluate(lab.runs() / run, split, tokens);
  if (const std::string wanted = lab.workload.segments(split, tokens); result.segments != wanted)
    throw_failed("run {}: its evaluation on the {} split scored the list of segments {}, expected {}", run, name(split),
                 result.segments, wanted);
  keep_document_sums(lab.runs() / run, split, result);  // before the ledger says that it was evaluated
  return {.run = run,
          .split = split,
          .tokens = result.tokens,
          .loss = result.loss,
          .bits_per_byte = result.bits_per_byte,
          .segments = result.segments,
          .bytes = result.bytes,
          .documents = result.documents,
          .sampling = result.sampling,
          .units = result.units,
          .evaluation_flops = result.flops};
}

void forecast_top(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book,
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
  const auto sizes = lab.workload.isoflop_runs(*ladder.configuration, ladder.top_flops(), decision.centre,
                                               plan.top_sizes, lab.max_tokens());
  keep_last_look(lab, *ladder.configuration, sizes, budget);
  record_forecast(lab, branches, ladder, sizes, 0);
}

Script<> top_rung(const Lab& lab, Decisions& decisions, const Branches& branches, Replicates& replicates, RunLoop& loop,
                  const Ladder& ladder) {
  const auto decision = decisions.taken<ledger::TopDecision>();
  co_await measured_top(lab, branches, replicates, loop, ladder, decision->centre, 0);
}

Script<> climb_further(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book,
                       const Branches& branches, Replicates& replicates, RunLoop& loop, Ladder& ladder) {
  const int extensions = static_cast<int>(lab.ledger.all<ledger::ExtensionRecord>().size());
  int tops = 1;
  for (int number = 1; number <= extensions; ++number) {
    const auto decision = decisions.decide<ledger::FurtherTopDecision>(
        [&] { return further_top(lab, budget, book, branches, ladder, tops - 1); }, number);
    if (!decision.climb) continue;
    ladder.plan.rungs.push_back(decision.flops);
    const auto sizes = lab.workload.isoflop_runs(*ladder.configuration, ladder.top_flops(), decision.centre,
                                                 ladder.plan.top_sizes, lab.max_tokens());
    keep_last_look(lab, *ladder.configuration, sizes, budget);
    record_forecast(lab, branches, ladder, sizes, tops);
    co_await measured_top(lab, branches, replicates, loop, ladder, decision.centre, tops++);
  }
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
  if (last_since_extension<ledger::WallRecord>(lab.ledger)) return;
  const std::vector<scaling::Point> all = ladder_points(lab.ledger, 1e300);
  const scaling::JudgedRuns judged = scaling::judge_runs(all, fit_options(lab));
  const scaling::Forecaster& forecaster = judged.forecaster;
  const scaling::OptimumRule& rule = judged.optimum;
  ledger::FitRecord fitted = fit_record("all", judged.law, all);
  fitted.backtest.emplace();
  for (const scaling::BacktestRow& row : judged.backtest)
    fitted.backtest->push_back({.train_below_flops = row.train_below_flops,
                                .held_out_flops = row.held_out_flops,
                                .predicted = row.predicted,
                                .low = row.low,
                                .high = row.high,
                                .measured = row.measured,
                                .error_percent = row.error_percent,
                                .inside = row.inside});
  fitted.frontier.emplace();
  const double reached = reached_flops(lab);
  const double first = ladder.plan.rungs.front(), last = 100 * reached;
  for (int i = 0; i <= kFrontierPoints; ++i) {
    const double flops = first * std::pow(last / first, static_cast<double>(i) / kFrontierPoints);
    if (!rule.reaches(flops)) break;
    const scaling::Optimum optimum = rule.at(forecaster, flops);
    fitted.frontier->push_back(
        {.flops = flops, .bits_per_byte = optimum.loss, .low = optimum.low, .high = optimum.high});
  }
  ledger::FutureForecast future;
  for (const double multiple : kForecastMultiples)
    future.forecast.push_back(future_entry(rule, forecaster, multiple, multiple * reached));
  const scaling::Wall wall = scaling::wall_test(all, lab.options.seed);
  const ledger::WallRecord wall_record{.verdict = wall.verdict,
                                       .slope = wall.slope,
                                       .slope_low = wall.slope_low,
                                       .slope_high = wall.slope_high,
                                       .smallest_detectable = wall.smallest_detectable,
                                       .why = wall.why};
  const ledger::OptimumRecord optimum = optimum_record(rule);
  lab.ledger.append_all({fitted, optimum, future, wall_record});
  if (rule.identified)
    lab.say(fmt::format("compute-optimal size: N ~ C^{:.2f} (95%: {:.2f} to {:.2f})", optimum.a, optimum.low,
                        optimum.high));
  else
    lab.say(fmt::format("no compute-optimal size is identified: {}", rule.why));
  for (const auto& entry : future.forecast) lab.say(in_words(entry));
  lab.say(fmt::format("wall: {} ({})", name(wall.verdict), wall.why));
}

Script<> last_evaluations(const Lab& lab, const CampaignBudget& budget, const RunBook& book, RunLoop& loop) {
  std::vector<ledger::RunRow> best = runs_by_merit(lab.ledger);
  if (best.empty()) co_return;
  best.resize(std::min(best.size(), kMostLookedAt));
  const double begun = lab.clock.now_seconds();
  std::vector<protocol::Split> splits;
  for (const protocol::Split split : {protocol::Split::kAudit, protocol::Split::kLocked}) {
    if (!workload::can_be_judged_on(lab.workload, split)) continue;
    const auto looked = final_evaluation(lab.ledger, split);
    if (!looked || (split == protocol::Split::kAudit && !is_among(best, looked->run, best.front().rung_flops)))
      splits.push_back(split);
    else if (split == protocol::Split::kLocked && looked->run != best.front().run)
      lab.say(
          fmt::format("the locked split was read for {}, before the budget was extended, and is read once: it is not "
                      "read again for {}",
                      looked->run, best.front().run));
  }
  for (size_t i = 0; i < splits.size(); ++i) {
    const protocol::Split split = splits[i];
    while (!best.empty()) {
      const std::string run = best.front().run;
      const int64_t tokens = last_tokens(lab, budget, book, run, splits.size() - i);
      if (tokens < kFewestLastTokens) {
        lab.say(
            fmt::format("the best model ({}) is not looked at on the {} split: the budget is spent", run, name(split)));
        break;
      }
      co_await loop.give_way();
      std::string why;
      try {
        const ledger::EvaluationRecord evaluation = evaluated(lab, run, split, tokens);
        lab.ledger.append(evaluation);
        lab.say(fmt::format("best model ({}) on the {} split: {:.4f} bits per byte", run, name(split),
                            evaluation.bits_per_byte));
        break;
      } catch (const Error& e) {
        if (e.code() != ErrorCode::kFailed || best.size() == 1) throw;
        why = e.what();
      }
      best.erase(best.begin());
      lab.say(fmt::format("the model of {} cannot be looked at ({}): that of {} is, the next best", run, why,
                          best.front().run));
    }
  }
  co_await measure_locked_gain(lab, loop);
  const auto note = lab.ledger.last<ledger::SampleNote>();
  if (!note || !is_among(best, note->value.run, best.front().rung_flops)) {
    ledger::SampleNote sample{.run = best.front().run, .prompt = "", .text = ""};
    sample.text = lab.workload.sample(lab.runs() / sample.run, kSampleTokens);
    lab.ledger.append(sample);
  }
  if (!last_since_extension<ledger::SpendRecord>(lab.ledger))
    lab.ledger.append(
        ledger::SpendRecord{.what = "last evaluations and sample", .seconds = lab.clock.now_seconds() - begun});
}

}  // namespace flywheel::campaign
