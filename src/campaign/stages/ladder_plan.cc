// Calibration of the machine's throughput, and the ladder that fits the budget.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "campaign/stages/stages.h"

namespace flywheel::campaign {
namespace {

constexpr double kReportSeconds = 2.0;   // writing the report
constexpr double kLastLookShare = 0.05;  // of the budget, that the last evaluations may take
// Assumed share of the search, for the scale of the ladder planned before it. What the search really takes is decided
// action by action, and the ladder is planned again for the rest.
constexpr double kSearchGuess = 0.45;

void say_limits(const Lab& lab, const LadderPlan& plan) {
  for (const std::string& limit : plan.limits) lab.say(limit);
}

}  // namespace

PlannedRun prior_planned_run(const Lab& lab, const std::string& id, protocol::Stage stage,
                             workload::ConfigurationPtr configuration, double flops, int replicate,
                             protocol::Split split) {
  PlannedRun run{.id = id, .stage = stage, .rung_flops = flops};
  run.size = workload::at_cost(lab.workload, *configuration, lab.prior_run(*configuration, flops), flops);
  run.configuration = std::move(configuration);
  run.replicate = replicate;
  run.split = split == protocol::Split::kAudit ? workload::audit_split(lab.workload) : split;
  run.times_machine = false;
  return run;
}

Script<> calibrate(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, RunBook& book, RunLoop& loop,
                   workload::ConfigurationPtr stand_in) {
  const CampaignOptions& options = lab.options;
  const workload::Configuration& configuration = *options.configuration;
  const auto decision = decisions.decide<ledger::CalibrateDecision>([&] {
    // A rough estimate of the top rung, to choose the sizes to time: 20 GFLOP/s per core, a seventh of all for one run.
    const double guess =
        budget.is_time() ? options.budget.seconds * options.slots * 20e9 / 7 : options.budget.flops / 7;
    const double low =
        lab.workload.prior_parameters(configuration, std::max(guess / kWantedRange, kSmallestRungFlops)) / 3;
    const double high = lab.workload.prior_parameters(configuration, std::max(guess, kSmallestRungFlops)) * 3;
    const double each =
        budget.is_time() ? 20e9 * std::min(options.budget.seconds / 60, 1.0) : options.budget.flops / 1000;
    return ledger::CalibrateDecision{.parameters = {low, std::sqrt(low * high), high}, .flops = std::max(each, 1e8)};
  });
  std::vector<ledger::RunRow> rows;
  for (const workload::ConfigurationPtr& timed : {options.configuration, stand_in}) {
    if (!timed) continue;
    const char* who = timed == options.configuration ? "" : "candidate-";
    std::vector<PlannedRun> runs;
    for (size_t i = 0; i < decision.parameters.size(); ++i)
      for (int copy = 0; copy < (options.slots > 1 ? 2 : 1); ++copy) {
        PlannedRun run{.id = fmt::format("calibrate-{}n{}-{}", who, i, copy), .stage = protocol::Stage::kCalibrate};
        run.size = lab.workload.isoflop_runs(*timed, decision.flops, decision.parameters[i], 1, lab.max_tokens()).at(0);
        run.configuration = timed;
        run.replicate = copy;
        runs.push_back(std::move(run));
      }
    rows = co_await loop.ensure(std::move(runs));
    if (!book.throughput().empty()) co_return;
  }
  for (const ledger::RunRow& row : rows)
    if (row.state == protocol::RunState::kFailed)
      throw_failed("the first runs{} failed: {}. See {}", stand_in ? " of both recipes" : "", row.reason,
                   (lab.runs() / row.run).string());
  throw_bad_input("the budget is too small: it ended while the machine's speed was being measured");
}

LadderPlan plan_first_ladder(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book) {
  const CampaignOptions& options = lab.options;
  const auto decision = decisions.decide<ledger::LadderDecision>([&] {
    // The last evaluations, forward only, at the size a top rung would have.
    const double rate = book.throughput().flops_per_second(1e9);
    const double top_guess =
        budget.is_time() ? budget.seconds_left() * options.slots / 7 * rate : budget.flops_left() / 7;
    const workload::Configuration& own = *options.configuration;
    const double per_token = lab.workload.evaluation_flops_per_token(own, lab.workload.prior_size(own, top_guess));
    LastLook last_look;
    if (budget.is_flops()) {
      const double affordable = kLastLookShare * budget.flops_left() / (2 * per_token);
      last_look.tokens =
          static_cast<int64_t>(std::clamp(affordable, lab.eval_tokens(), static_cast<double>(last_look.tokens)));
      last_look.flops = 2 * per_token * static_cast<double>(last_look.tokens);
    }
    last_look.seconds = std::clamp(2 * per_token * static_cast<double>(last_look.tokens) / rate + kReportSeconds + 1,
                                   3.0, std::max(3.0, kLastLookShare * options.budget.seconds));
    budget.keep(last_look);
    const auto plan_with = [&](double share) {
      return plan_ladder(lab.workload, *options.configuration, book.throughput(),
                         budget.limits(budget.plan_fraction() * share));
    };
    LadderPlan plan;
    try {
      plan = plan_with(options.proposers.empty() ? 1 : 1 - kSearchGuess);
    } catch (const Error&) {
      plan = plan_with(1);  // too little for a ladder and a search, of which the search will be left out
    }
    return ledger::LadderDecision{.plan = plan,
                                  .final_seconds = last_look.seconds,
                                  .final_flops = last_look.flops,
                                  .final_tokens = last_look.tokens};
  });
  budget.keep({.seconds = decision.final_seconds,
               .tokens = decision.final_tokens.value_or(LastLook{}.tokens),
               .flops = decision.final_flops.value_or(0)});
  const LadderPlan& plan = decision.plan;
  lab.say(fmt::format("plan: {} rungs from {} to {}, {} sizes on the lowest, {} on each middle one, {} on the top",
                      plan.rungs.size(), format_flops(plan.rungs.front()), format_flops(plan.rungs.back()),
                      plan.lowest_sizes, plan.middle_sizes, plan.top_sizes));
  say_limits(lab, plan);
  return plan;
}

LadderPlan plan_again(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                      const Ladder& ladder) {
  const auto decision = decisions.decide<ledger::SecondLadderDecision>([&]() -> ledger::SecondLadderDecision {
    LadderLimits limits = budget.limits(budget.plan_fraction());
    for (const double lowest : {ladder.lowest_flops, kSmallestRungFlops}) try {
        limits.lowest_flops = lowest;
        return {plan_ladder(lab.workload, *ladder.configuration, book.throughput(), limits)};
      } catch (const Error&) {
        continue;
      }
    return {ladder.plan};  // too little for a new plan: the old one is shortened stage by stage
  });
  const LadderPlan& plan = decision.plan;
  lab.say(fmt::format("ladder: {} rungs from {} to {}", plan.rungs.size(), format_flops(plan.rungs.front()),
                      format_flops(plan.rungs.back())));
  return plan;
}

}  // namespace flywheel::campaign
