// `flywheel compare`: is a change's effect real, how large is it in compute, and does it hold one rung up?
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "campaign/costs.h"
#include "campaign/document_sums.h"
#include "campaign/extensions.h"
#include "campaign/stages/stages.h"
#include "evidence/paired_comparison.h"
#include "evidence/same_text.h"
#include "protocol/states.h"

namespace flywheel::campaign {
namespace {

constexpr double kRungStep = 4;  // of the upper rung over the lower, in FLOPs
constexpr double kBudgetShare = 0.9;
constexpr int kSeeds = 20000;
// Pairs that the machine may fail, with more of them than of those measured, before the comparison gives up; and pairs
// of which both sides fail, with none that finished.
constexpr int kMostPairsLost = 6, kMostPairsFailed = 8;

using protocol::ComparisonVerdict;
using Failed = evidence::PairedComparison::Failed;

std::string base_id(int pair) {
  return fmt::format("pair-{}-base", pair);
}
std::string candidate_id(int pair) {
  return fmt::format("pair-{}-candidate", pair);
}

enum class PairEnd { kBothFinished, kFailed, kLost };
struct EndedPair {
  PairEnd end = PairEnd::kLost;
  Failed failed = Failed::kBoth;
  std::string reason{};  // of what failed
};

// A failure of the machine is nobody's: the pair is lost, and the next one, of another seed, stands in for it.
EndedPair ended_pair(const ledger::RunRow& base, const ledger::RunRow& candidate) {
  const auto finished = [](const ledger::RunRow& row) {
    return row.state == protocol::RunState::kDone && row.bits_per_byte;
  };
  const bool base_finished = finished(base), candidate_finished = finished(candidate);
  if (base_finished && candidate_finished) return {.end = PairEnd::kBothFinished};
  for (const ledger::RunRow* row : {&base, &candidate})
    if (!finished(*row) && !protocol::is_the_recipes_fault(row->reason)) return {.reason = row->reason};
  const std::string& reason = candidate_finished ? base.reason : candidate.reason;
  return {.end = PairEnd::kFailed,
          .failed = base_finished        ? Failed::kCandidate
                    : candidate_finished ? Failed::kBase
                                         : Failed::kBoth,
          .reason = reason.empty() ? "they end without a loss" : reason};
}

// The pairs as they come in.
class Pairs {
 public:
  Pairs(const Lab& lab, const std::vector<double>& rungs, const evidence::ComparisonOptions& options)
      : lab_(lab), comparison_(rungs[0], rungs[1], options) {}

  // Of runs that the ledger has; a pair that the budget has cut off is left out.
  void take(int pair) {
    const auto base = lab_.ledger.run(base_id(pair)), other = lab_.ledger.run(candidate_id(pair));
    for (const auto& row : {base, other})
      if (!row || !row->ended() || row->state == protocol::RunState::kStopped) return;
    const auto rung = static_cast<size_t>(pair % 2);
    const EndedPair ended = ended_pair(*base, *other);
    if (ended.end == PairEnd::kLost) {
      if (++lost_ > std::max(kMostPairsLost, comparison_.pairs()))
        throw_failed("the comparison's runs keep failing for what the machine does: {}", ended.reason);
      return;
    }
    if (ended.end == PairEnd::kFailed) {
      comparison_.add_failure(rung, ended.failed, ended.reason);
      return;
    }
    if (!first_) first_ = *base;
    evidence::check_same_text(*first_, *base);
    evidence::check_same_text(*base, *other);
    comparison_.add(rung, *base->bits_per_byte, *other->bits_per_byte,
                    {.cost = cost_ratio(lab_.ledger, base->run, other->run),
                     .time = base->seconds > 0 ? other->seconds / base->seconds : 0});
    measured_[rung].push_back(pair);
  }

  // Whether there is enough to say what the pairs show.
  bool look() {
    return comparison_.look([this](size_t rung) { return sampling(rung); });
  }
  bool hopeless() const { return !first_ && comparison_.pairs() >= kMostPairsFailed && !comparison_.tested(); }
  const evidence::PairedComparison& comparison() const { return comparison_; }

  // `far_flops`: the scale to which the gain is extrapolated; determines a warning.
  ledger::ComparisonRecord answer(double far_flops, double smallest_effect) const {
    ledger::ComparisonRecord result{.verdict = comparison_.verdict()};
    std::optional<ClusterError> of_worth;
    auto measured = comparison_.rungs();
    for (size_t r = 0; r < measured.size(); ++r) {
      measured[r].sampling = sampling(r);
      result.sampling = evidence::wider(result.sampling, measured[r].sampling, comparison_.level());
      of_worth = evidence::wider(of_worth, measured[r].sampling, evidence::kWorthLevel);
    }
    const evidence::PairedEffect effect = evidence::paired_effect(measured, evidence::SlopeOf::kBothSides);
    result.difference =
        evidence::widened(comparison_.difference(comparison_.level()), result.sampling, comparison_.level());
    // The difference is of the verdict's level, what it is worth of the level of every multiplier.
    const evidence::Interval difference =
        evidence::widened(comparison_.difference(evidence::kWorthLevel), of_worth, evidence::kWorthLevel);
    if (effect.rungs.size() == 2 && std::isfinite(difference.value)) {
      result.multiplier = effect.multiplier_of(difference);
      if (!std::isnan(effect.time.value)) result.time_multiplier = effect.time_multiplier_of(difference);
    }
    result.rungs = effect.rungs;
    if (std::min(measured[0].difference.size(), measured[1].difference.size()) > 1 && effect.slope_is_sure)
      result.warning = evidence::extrapolate(effect.rungs, far_flops).warning;
    if (!comparison_.why().empty()) result.why = comparison_.why();
    result.smallest_effect = smallest_effect;
    result.failed = {comparison_.failed().base, comparison_.failed().candidate};
    const evidence::SideCounts ruined = comparison_.ruined();
    result.ruined = {ruined.base, ruined.candidate};
    add_bound(result);
    return result;
  }

 private:
  std::optional<ClusterError> sampling(size_t rung) const {
    std::vector<std::string> base, candidate;
    for (const int pair : measured_[rung]) {
      base.push_back(base_id(pair));
      candidate.push_back(candidate_id(pair));
    }
    return paired_sampling_error(lab_.ledger, lab_.runs(), base, candidate);
  }

  void add_bound(ledger::ComparisonRecord& result) const {
    if (result.verdict != ComparisonVerdict::kUndecided && result.verdict != ComparisonVerdict::kNoDifference) return;
    const evidence::PairedComparison::Bound bound = comparison_.bound([this](size_t rung) { return sampling(rung); });
    if (std::isfinite(bound.bits_per_byte)) {
      result.bound = bound.bits_per_byte;
      if (std::isfinite(bound.worth)) result.bound_worth = bound.worth;
    }
    if (result.verdict == ComparisonVerdict::kNoDifference || comparison_.pairs() == 0) return;
    const evidence::PairedComparison::MoreBudget more = comparison_.more_budget();
    result.more_budget = more.times;
    if (more.expected != ComparisonVerdict::kUndecided) result.expected_verdict = more.expected;
  }

  const Lab& lab_;
  evidence::PairedComparison comparison_;
  std::array<std::vector<int>, 2> measured_;  // pairs by rung
  std::optional<ledger::RunRow> first_;       // that finished
  int lost_ = 0;
};

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

// The two rungs whose planned pairs take the budget.
ledger::CompareDecision planned_rungs(const Lab& lab, const CampaignBudget& budget, const RunBook& book,
                                      const workload::Configuration& candidate, int planned_pairs) {
  const double left = budget.flops_left_by_speed(book.throughput());
  const auto cost = [&](double low) {
    double flops = 0;
    for (const workload::Configuration* side : {lab.options.configuration.get(), &candidate})
      for (const double rung : {low, kRungStep * low})
        flops += budget.cost(*side, workload::at_cost(lab.workload, *side, lab.prior_run(*side, rung), rung));
    return planned_pairs * flops / kBudgetShare;
  };
  if (cost(kSmallestRungFlops) > left)
    throw_bad_input(
        "the budget is too small: two rungs of {} pairs need at least {}, evaluations included, there is {}; give a "
        "larger one, or fewer --pairs",
        planned_pairs, format_flops(cost(kSmallestRungFlops)), format_flops(left));
  // Without evaluations the lower rung would be `high`.
  double low = kSmallestRungFlops, high = kBudgetShare * left / (2 * planned_pairs * (1 + kRungStep));
  while (high / low > 1.001) {
    const double middle = std::sqrt(low * high);
    (cost(middle) > left ? high : low) = middle;
  }
  return {.rungs = {low, kRungStep * low}};
}

}  // namespace

Script<ledger::ComparisonRecord> compare_configurations(const Lab& lab, Decisions& decisions, CampaignBudget& budget,
                                                        const RunBook& book, RunLoop& loop,
                                                        workload::ConfigurationPtr candidate, CompareRules rules) {
  const auto decision = decisions.decide<ledger::CompareDecision>(
      [&] { return planned_rungs(lab, budget, book, *candidate, rules.planned_pairs); });
  const std::vector<double>& rungs = decision.rungs;
  Pairs measured(lab, rungs, {.smallest_effect = rules.smallest_effect});
  const evidence::PairedComparison& comparison = measured.comparison();
  int pairs = 0;
  while (!budget.is_spent() && !comparison.decided() && !measured.hopeless()) {
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
    for (int pair = first; pair < pairs; ++pair) measured.take(pair);
    if (!measured.look()) continue;
    const auto mean_of = [&](size_t rung) -> std::string {
      const std::vector<double>& differences = comparison.rungs()[rung].difference;
      return differences.empty() ? "none" : fmt::format("{:+.4f}", mean(differences));
    };
    lab.say(
        fmt::format("{} pairs: {} and {} bits per byte on the two rungs; evidence {:.2g} of {:.0f} for better "
                    "on both, {:.2g} for worse",
                    comparison.pairs(), mean_of(0), mean_of(1), std::exp(comparison.log_e_better()),
                    comparison.evidence_needed(), std::exp(comparison.log_e_worse())));
  }

  ledger::ComparisonRecord result = measured.answer(10 * rungs[1], rules.smallest_effect);
  if (measured.hopeless()) result.why = "the runs of both recipes fail: " + comparison.why();
  const ledger::Spend spend = lab.ledger.spend();
  result.spend = {.seconds = budget.seconds(),
                  .train_flops = spend.train_flops,
                  .optimizer_flops = spend.optimizer_flops,
                  .evaluation_flops = spend.evaluation_flops,
                  .runs = spend.runs_done + spend.runs_failed};
  add_costs(lab.ledger, rungs, pairs, result);
  // The verdict is on runs that cost the same FLOPs; a budget of time asks what seconds are worth too.
  if (budget.is_time() && result.verdict == ComparisonVerdict::kBetter && result.time_multiplier &&
      result.time_multiplier->value < 1)
    result.warning = fmt::format(
        "better for the same FLOPs, but not for the same time: worth {:.2f}x on this machine{}{}",
        result.time_multiplier->value, result.warning.value_or("").empty() ? "" : "; ", result.warning.value_or(""));
  if (!last_since_extension<ledger::ComparisonRecord>(lab.ledger)) lab.ledger.append(result);
  co_return result;
}

}  // namespace flywheel::campaign
