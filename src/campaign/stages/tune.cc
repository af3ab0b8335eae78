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
constexpr size_t kRungsAbove = 3;        // of the ladder, above one on which the rates are swept
constexpr double kSweepShare = 0.15;     // of what is left, that a sweep of a higher rung may take

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

// Runs the sweep of a rung, and extends it where its best rate lies at an edge.
Script<SweepChoice> sweep_of(const Lab& lab, const CampaignBudget& budget, RunLoop& loop, const Ladder& ladder,
                             size_t rung, Sweep& sweep, std::optional<double> context_free) {
  std::vector<SweepRun> swept;
  for (int i = 0; i < ladder.plan.tune_runs; ++i)
    swept.push_back(
        sweep.run_of(protocol::Stage::kTune, rung, std::pow(kMultiplierStep, i - ladder.plan.tune_runs / 2), 0));
  SweepChoice choice;
  for (int extension = 0;; ++extension) {
    co_await loop.ensure(runs_of(swept));
    if (budget.is_spent()) break;
    choice = choose_multiplier(sweep.outcomes(swept), context_free);
    if ((!choice.at_low_edge && !choice.at_high_edge) || extension == kMostSweepExtensions) break;
    // A rate that was tried already, even one that diverged, is not tried again.
    const double next =
        choice.at_low_edge ? choice.best_sampled / kMultiplierStep : choice.best_sampled * kMultiplierStep;
    SweepRun more = sweep.run_of(protocol::Stage::kTune, rung, next, 0);
    if (std::any_of(swept.begin(), swept.end(), [&](const SweepRun& s) { return s.run.id == more.run.id; })) break;
    swept.push_back(std::move(more));
  }
  co_return choice;
}

// Whether the sweep of this rung and the check one rung up take no more than their share of what is left.
bool can_sweep(const Lab& lab, const CampaignBudget& budget, const RunBook& book, const Ladder& ladder, size_t rung) {
  if (rung + kRungsAbove >= ladder.plan.rungs.size()) return false;
  const auto cost = [&](size_t at, int runs) {
    const workload::SizedRun run = lab.prior_run(*ladder.configuration, ladder.plan.rungs[at]);
    return stage_cost(lab.workload, *ladder.configuration, book.throughput(), budget.limits(kSweepShare),
                      std::vector<workload::SizedRun>(static_cast<size_t>(runs), run));
  };
  return fits(cost(rung, ladder.plan.tune_runs) + cost(rung + 1, ladder.plan.transfer_runs),
              budget.limits(kSweepShare));
}

}  // namespace

Script<> tune(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book, RunLoop& loop,
              Ladder& ladder) {
  const std::optional<double> context_free = lab.workload.context_free_loss(protocol::Split::kSearch);
  Sweep sweep(lab, ladder);
  size_t rung = 0;
  SweepChoice choice = co_await sweep_of(lab, budget, loop, ladder, rung, sweep, context_free);
  while (!choice.learnt && !budget.is_spent()) {
    const auto up = decisions.decide<ledger::SweepRungDecision>(
        [&] { return ledger::SweepRungDecision{.go_up = can_sweep(lab, budget, book, ladder, rung + 1)}; },
        static_cast<int>(rung));
    lab.say(fmt::format(
        "no learning rate has learnt anything of context at {}: no run is clearly below {:.3f} bits "
        "per byte, which knowing how often each token occurs is enough for{}",
        format_flops(ladder.plan.rungs[rung]), *context_free, up.go_up ? "; the rates are swept one rung up" : ""));
    if (!up.go_up) break;
    choice = co_await sweep_of(lab, budget, loop, ladder, ++rung, sweep, context_free);
    if (budget.is_spent()) choice.learnt = false;  // it was cut off
  }
  std::vector<SweepRun> repeats, upper;
  if (choice.learnt) {
    // Two more seeds of the best rate: a first noise estimate, for the transfer check.
    for (const int replicate : {1, 2})
      repeats.push_back(sweep.run_of(protocol::Stage::kTune, rung, choice.best_sampled, replicate));
    for (const double factor : {0.5, 1.0, 2.0})
      upper.push_back(sweep.run_of(protocol::Stage::kTransfer, rung + 1, choice.multiplier * factor, 0));
    std::vector<PlannedRun> both = runs_of(upper);
    for (const SweepRun& repeat : repeats) both.push_back(repeat.run);
    co_await loop.ensure(std::move(both));
  }

  const auto decision = decisions.decide<ledger::LearningRateDecision>([&] {
    TransferVerdict verdict{
        .holds = false, .multiplier = choice.multiplier, .words = "the transfer check did not fit into the budget"};
    double sd = 0;
    std::optional<double> learns_from;
    if (choice.learnt) {
      learns_from = ladder.plan.rungs[rung];
      std::vector<double> group;
      for (const SweepRun& repeat : repeats)
        if (const auto value = sweep.outcome(repeat).bits_per_byte) group.push_back(*value);
      const SweepRun best = sweep.run_of(protocol::Stage::kTune, rung, choice.best_sampled, 0);
      if (const auto value = sweep.outcome(best).bits_per_byte) group.push_back(*value);
      sd = evidence::noise_floor(ladder.plan.rungs[rung], {group}).bits_per_byte_sd;
      if (!budget.is_spent()) verdict = check_transfer(choice.multiplier, sweep.outcomes(upper), sd);
    } else {
      verdict = {.holds = false,
                 .multiplier = 1,
                 .words =
                     "kept, since no run of the sweep had learnt anything of context and a longer one did not "
                     "fit into the budget"};
    }
    const auto tuned = lab.workload.with_learning_rates(*ladder.configuration, verdict.multiplier);
    return ledger::LearningRateDecision{.multiplier = verdict.multiplier,
                                        .lowest_rung_multiplier = choice.learnt ? choice.multiplier : 1,
                                        .transfers = verdict.holds,
                                        .words = verdict.words,
                                        .noise_sd = sd,
                                        .learning_rate = lab.workload.learning_rate(*tuned),
                                        .context_free = context_free,
                                        .learns_from_flops = learns_from};
  });
  ladder.configuration = lab.workload.with_learning_rates(*ladder.configuration, decision.multiplier);
  ladder.context_free = decision.context_free;
  if (decision.learns_from_flops) ladder.lowest_flops = std::max(ladder.lowest_flops, *decision.learns_from_flops);
  lab.say(fmt::format("learning rate {:.3g} ({:.3g} times the recipe's): {}",
                      lab.workload.learning_rate(*ladder.configuration), decision.multiplier, decision.words));
  if (!lab.ledger.last<ledger::RecipeRecord>()) lab.ledger.append(recipe_record(lab.workload, *ladder.configuration));
}

}  // namespace flywheel::campaign
