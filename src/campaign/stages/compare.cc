// `flywheel compare`: is a change's effect real, how large is it in compute, and does it hold one rung up?
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "campaign/costs.h"
#include "campaign/document_sums.h"
#include "campaign/stages/stages.h"
#include "evidence/paired_comparison.h"
#include "evidence/same_text.h"

namespace flywheel::campaign {
namespace {

constexpr int kPlannedPairs = 12;  // per rung, for which the budget is planned
constexpr double kRungStep = 4;    // of the upper rung over the lower, in FLOPs
constexpr double kBudgetShare = 0.9;
constexpr int kSeeds = 20000;

std::string base_id(int pair) {
  return fmt::format("pair-{}-base", pair);
}
std::string candidate_id(int pair) {
  return fmt::format("pair-{}-candidate", pair);
}

// `far_flops`: the scale to which the gain is extrapolated; determines a warning. `pairs`: by rung, those measured.
ledger::ComparisonRecord answer_of(const evidence::PairedComparison& comparison, double far_flops,
                                   const std::array<std::vector<int>, 2>& pairs, const Lab& lab) {
  ledger::ComparisonRecord result{.verdict = comparison.verdict()};
  std::optional<ClusterError> of_worth;
  auto measured = comparison.rungs();
  for (size_t r = 0; r < measured.size(); ++r) {
    std::vector<std::string> base, candidate;
    for (const int pair : pairs[r]) {
      base.push_back(base_id(pair));
      candidate.push_back(candidate_id(pair));
    }
    measured[r].sampling = paired_sampling_error(lab.ledger, lab.runs(), base, candidate);
    result.sampling = evidence::wider(result.sampling, measured[r].sampling, comparison.level());
    of_worth = evidence::wider(of_worth, measured[r].sampling, evidence::kWorthLevel);
  }
  const evidence::PairedEffect effect = evidence::paired_effect(measured);
  result.difference = evidence::widened(comparison.difference(comparison.level()), result.sampling, comparison.level());
  if (!comparison.tested()) result.difference.value = std::nan("");
  // The difference is of the verdict's level, what it is worth of the level of every multiplier.
  const evidence::Interval difference =
      evidence::widened(comparison.difference(evidence::kWorthLevel), of_worth, evidence::kWorthLevel);
  if (effect.rungs.size() == 2) result.multiplier = effect.multiplier_of(difference);
  result.rungs = effect.rungs;
  if (result.multiplier && !std::isnan(effect.time.value))
    result.time_multiplier = effect.time_multiplier_of(difference);
  if (std::min(measured[0].difference.size(), measured[1].difference.size()) > 1 && effect.slope_is_sure)
    result.warning = evidence::extrapolate(effect.rungs, far_flops).warning;
  if (!comparison.why().empty()) result.why = comparison.why();
  if (!comparison.decided() && comparison.tested_pairs() > 0)
    result.more_budget = comparison.more_budget().value_or(std::nan(""));
  return result;
}

void add_costs(const ledger::Ledger& ledger, const std::vector<double>& rungs, int pairs,
               ledger::ComparisonRecord& result) {
  std::vector<std::string> all;
  result.costs.emplace();
  for (size_t rung = 0; rung < rungs.size(); ++rung) {
    std::vector<std::string> base, candidate;
    for (int pair = static_cast<int>(rung); pair < pairs; pair += 2) {
      base.push_back(base_id(pair));
      candidate.push_back(candidate_id(pair));
      all.insert(all.end(), {base.back(), candidate.back()});
    }
    result.costs->push_back(compared_costs(ledger, rungs[rung], base, candidate));
  }
  result.cpu_share = cpu_share(ledger, all);
}

}  // namespace

Script<ledger::ComparisonRecord> compare_configurations(const Lab& lab, Decisions& decisions, CampaignBudget& budget,
                                                        const RunBook& book, RunLoop& loop,
                                                        workload::ConfigurationPtr candidate) {
  const auto decision = decisions.decide<ledger::CompareDecision>([&] {
    const double left = budget.flops_left_by_speed(book.throughput());
    const auto cost = [&](double low) {
      double flops = 0;
      for (const workload::Configuration* side : {lab.options.configuration.get(), candidate.get()})
        for (const double rung : {low, kRungStep * low})
          flops += budget.cost(*side, workload::at_cost(lab.workload, *side, lab.prior_run(*side, rung), rung));
      return kPlannedPairs * flops / kBudgetShare;
    };
    if (cost(kSmallestRungFlops) > left)
      throw_bad_input(
          "the budget is too small: two rungs of {} pairs need at least {}, evaluations included, there is {}",
          kPlannedPairs, format_flops(cost(kSmallestRungFlops)), format_flops(left));
    // Without evaluations the lower rung would be `high`.
    double low = kSmallestRungFlops, high = kBudgetShare * left / (2 * kPlannedPairs * (1 + kRungStep));
    while (high / low > 1.001) {
      const double middle = std::sqrt(low * high);
      (cost(middle) > left ? high : low) = middle;
    }
    return ledger::CompareDecision{.rungs = {low, kRungStep * low}};
  });
  const std::vector<double>& rungs = decision.rungs;
  evidence::PairedComparison comparison(rungs[0], rungs[1]);
  int pairs = 0;
  std::array<std::vector<int>, 2> measured;  // pairs by rung
  while (!budget.is_spent() && !comparison.decided()) {
    // As many pairs at a time as the cores hold, alternating between the rungs.
    std::vector<PlannedRun> runs;
    const int first = pairs;
    for (int i = 0; i < std::max(1, lab.options.slots / 2); ++i, ++pairs) {
      const double flops = rungs[static_cast<size_t>(pairs % 2)];
      runs.push_back(prior_planned_run(lab, base_id(pairs), protocol::Stage::kCompare, lab.options.configuration, flops,
                                       kSeeds + pairs, protocol::Split::kAudit));
      runs.push_back(prior_planned_run(lab, candidate_id(pairs), protocol::Stage::kCompare, candidate, flops,
                                       kSeeds + pairs, protocol::Split::kAudit));
    }
    co_await loop.ensure(std::move(runs));
    for (int pair = first; pair < pairs; ++pair) {
      const auto base = lab.ledger.run(base_id(pair)), other = lab.ledger.run(candidate_id(pair));
      if (!base || !other || !base->ended() || !other->ended()) continue;
      if (base->state != protocol::RunState::kDone) throw_failed("the base recipe's run failed: {}", base->reason);
      if (other->state != protocol::RunState::kDone || !other->bits_per_byte || !base->bits_per_byte) {
        comparison.add_failure(other->reason);
        continue;
      }
      evidence::check_same_text(*lab.ledger.run(base_id(0)), *base);
      evidence::check_same_text(*base, *other);
      comparison.add(static_cast<size_t>(pair % 2), *base->bits_per_byte, *other->bits_per_byte,
                     {.cost = cost_ratio(lab.ledger, base->run, other->run),
                      .time = base->seconds > 0 ? other->seconds / base->seconds : 0});
      measured[static_cast<size_t>(pair % 2)].push_back(pair);
    }
    if (!comparison.look()) continue;
    lab.say(fmt::format(
        "{} pairs: {:+.4f} and {:+.4f} bits per byte on the two rungs; evidence {:.2g} of {:.0f} for better "
        "on both, {:.2g} for worse",
        comparison.pairs(), mean(comparison.rungs()[0].difference), mean(comparison.rungs()[1].difference),
        std::exp(comparison.log_e_better()), comparison.evidence_needed(), std::exp(comparison.log_e_worse())));
  }

  ledger::ComparisonRecord result = answer_of(comparison, 10 * rungs[1], measured, lab);
  const ledger::Spend spend = lab.ledger.spend();
  result.spend = {.seconds = budget.seconds(),
                  .train_flops = spend.train_flops,
                  .optimizer_flops = spend.optimizer_flops,
                  .evaluation_flops = spend.evaluation_flops,
                  .runs = spend.runs_done + spend.runs_failed};
  add_costs(lab.ledger, rungs, pairs, result);
  // The verdict is on runs that cost the same FLOPs; a budget of time asks what seconds are worth too.
  if (budget.is_time() && result.verdict == protocol::ComparisonVerdict::kBetter && result.time_multiplier &&
      result.time_multiplier->value < 1)
    result.warning = fmt::format(
        "better for the same FLOPs, but not for the same time: worth {:.2f}x on this machine{}{}",
        result.time_multiplier->value, result.warning.value_or("").empty() ? "" : "; ", result.warning.value_or(""));
  if (!lab.ledger.last<ledger::ComparisonRecord>()) lab.ledger.append(result);
  co_return result;
}

}  // namespace flywheel::campaign
