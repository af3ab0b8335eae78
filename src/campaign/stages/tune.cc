// Learning-rate tuning: a sweep on the lowest rung, checked one rung up.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "campaign/points.h"
#include "campaign/stages/stages.h"
#include "campaign/tuning.h"
#include "evidence/noise.h"
#include "evidence/same_text.h"

namespace flywheel::campaign {
namespace {

constexpr double kMultiplierStep = 2.0;
constexpr int kMostSweepExtensions = 3;  // of the sweep, at its edges

// One run of the sweep or of the check, and the factor on the configuration's learning rates.
struct SweepRun {
  double multiplier = 1;
  PlannedRun run;
};

class Sweep {
 public:
  Sweep(const Lab& lab, const Ladder& ladder) : lab_(lab), ladder_(ladder) {}

  SweepRun run_of(protocol::Stage stage, size_t rung, double multiplier, int replicate) const {
    const double flops = ladder_.plan.rungs[rung];
    PlannedRun run{.id = fmt::format("{}-r{}-x{:.4g}-{}", name(stage), rung, multiplier, replicate),
                   .stage = stage,
                   .rung_flops = flops};
    run.size = lab_.prior_run(*ladder_.configuration, flops);
    run.configuration = lab_.workload.with_learning_rates(*ladder_.configuration, multiplier);
    run.replicate = replicate;
    return {multiplier, std::move(run)};
  }
  SweepPoint outcome(const SweepRun& swept) {
    SweepPoint point{swept.multiplier, {}};
    if (const auto row = lab_.ledger.run(swept.run.id); row && row->state == protocol::RunState::kDone) {
      if (!first_) first_ = row;
      evidence::check_same_text(*first_, *row);
      point.bits_per_byte = row->bits_per_byte;
    }
    return point;
  }
  std::vector<SweepPoint> outcomes(const std::vector<SweepRun>& runs) {
    std::vector<SweepPoint> points;
    for (const SweepRun& run : runs) points.push_back(outcome(run));
    return points;
  }

 private:
  const Lab& lab_;
  const Ladder& ladder_;
  std::optional<ledger::RunRow> first_;  // with which all others share their text
};

std::vector<PlannedRun> runs_of(const std::vector<SweepRun>& sweep) {
  std::vector<PlannedRun> runs;
  for (const SweepRun& swept : sweep) runs.push_back(swept.run);
  return runs;
}

}  // namespace

Script<> tune(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, RunLoop& loop, Ladder& ladder) {
  Sweep sweep(lab, ladder);
  std::vector<SweepRun> swept;
  for (int i = 0; i < ladder.plan.tune_runs; ++i)
    swept.push_back(
        sweep.run_of(protocol::Stage::kTune, 0, std::pow(kMultiplierStep, i - ladder.plan.tune_runs / 2), 0));
  SweepChoice choice;
  for (int extension = 0;; ++extension) {
    co_await loop.ensure(runs_of(swept));
    if (budget.is_spent()) break;
    choice = choose_multiplier(sweep.outcomes(swept));
    if ((!choice.at_low_edge && !choice.at_high_edge) || extension == kMostSweepExtensions) break;
    // A rate that was tried already, even one that diverged, is not tried again.
    const double next =
        choice.at_low_edge ? choice.best_sampled / kMultiplierStep : choice.best_sampled * kMultiplierStep;
    SweepRun more = sweep.run_of(protocol::Stage::kTune, 0, next, 0);
    if (std::any_of(swept.begin(), swept.end(), [&](const SweepRun& s) { return s.run.id == more.run.id; })) break;
    swept.push_back(std::move(more));
  }
  // Two more seeds of the best rate: a first noise estimate, for the transfer check.
  const std::vector<SweepRun> repeats{sweep.run_of(protocol::Stage::kTune, 0, choice.best_sampled, 1),
                                      sweep.run_of(protocol::Stage::kTune, 0, choice.best_sampled, 2)};
  std::vector<SweepRun> upper;
  for (const double factor : {0.5, 1.0, 2.0})
    upper.push_back(sweep.run_of(protocol::Stage::kTransfer, 1, choice.multiplier * factor, 0));
  std::vector<PlannedRun> both = runs_of(upper);
  for (const SweepRun& repeat : repeats) both.push_back(repeat.run);
  co_await loop.ensure(std::move(both));

  const auto decision = decisions.decide<ledger::LearningRateDecision>([&] {
    std::vector<double> group;
    for (const SweepRun& repeat : repeats)
      if (const auto value = sweep.outcome(repeat).bits_per_byte) group.push_back(*value);
    const SweepRun best = sweep.run_of(protocol::Stage::kTune, 0, choice.best_sampled, 0);
    if (const auto value = sweep.outcome(best).bits_per_byte) group.push_back(*value);
    const double sd = evidence::noise_floor(ladder.plan.rungs[0], {group}).bits_per_byte_sd;
    TransferVerdict verdict{
        .holds = false, .multiplier = choice.multiplier, .words = "the transfer check did not fit into the budget"};
    if (!budget.is_spent()) verdict = check_transfer(choice.multiplier, sweep.outcomes(upper), sd);
    const auto tuned = lab.workload.with_learning_rates(*ladder.configuration, verdict.multiplier);
    return ledger::LearningRateDecision{.multiplier = verdict.multiplier,
                                        .lowest_rung_multiplier = choice.multiplier,
                                        .transfers = verdict.holds,
                                        .words = verdict.words,
                                        .noise_sd = sd,
                                        .learning_rate = lab.workload.learning_rate(*tuned)};
  });
  ladder.configuration = lab.workload.with_learning_rates(*ladder.configuration, decision.multiplier);
  lab.say(fmt::format("learning rate {:.3g} ({:.3g} times the recipe's): {}",
                      lab.workload.learning_rate(*ladder.configuration), decision.multiplier, decision.words));
  if (!lab.ledger.last<ledger::RecipeRecord>()) lab.ledger.append(recipe_record(lab.workload, *ladder.configuration));
}

}  // namespace flywheel::campaign
