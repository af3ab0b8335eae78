#include "campaign/search_records.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "campaign/costs.h"

namespace flywheel::campaign {
namespace {

using evidence::Outcome;

std::string id_of(size_t proposal) {
  return fmt::format("p{}", proposal);
}

// The runs' costs on the upper rung, and the time beside the compute.
void add_costs(const ledger::Ledger& ledger, const evidence::PairedEffect& effect, const search::Proposed& item,
               ledger::FindingRecord& record) {
  std::vector<std::string> all;
  for (const auto& ids : {item.confirm_runs, item.confirm_base})
    for (const std::vector<std::string>& rung : ids) all.insert(all.end(), rung.begin(), rung.end());
  record.costs = compared_costs(ledger, item.confirm.back().flops, item.confirm_base.back(), item.confirm_runs.back());
  if (std::isnan(effect.time.value)) return;
  record.time_multiplier = effect.time_multiplier_of(record.difference);
  record.cpu_share = cpu_share(ledger, all);
}

ledger::FindingRecord finding(const ledger::Ledger& ledger, const search::SearchLoop& loop, size_t i,
                              const SearchTotals& totals) {
  const search::Proposed& item = loop.proposals()[i];
  const evidence::Standing& standing = loop.policy().standings()[i];
  // Relative to the base that it was tested against, since an adoption changes the base on both rungs.
  const auto [effect, difference, sampling] = loop.confirmed(static_cast<int>(i));
  ledger::FindingRecord record{.id = id_of(i),
                               .proposer = item.proposer,
                               .label = item.label,
                               .change = fmt::format("{}", fmt::join(item.patches, ", ")),
                               .patches = item.patches,
                               .recipe_hash = item.identity,
                               .difference = difference,
                               .sampling = sampling,
                               .split = totals.split};
  record.multiplier = effect.multiplier_of(record.difference);
  record.slope = effect.slope;
  record.by_rung = effect.rungs;
  for (const ledger::RungEffect& rung : effect.rungs) record.rungs.push_back(rung.flops);
  record.pairs = standing.confirmed->runs();
  record.log_e = standing.confirmed->log_e_better();
  record.level = standing.level;
  record.test = standing.test;
  record.runs = item.runs;
  add_costs(ledger, effect, item, record);
  std::vector<evidence::RungEffect> sure;
  for (const evidence::RungEffect& rung : effect.rungs)
    if (rung.pairs > 1 && effect.slope_is_sure) sure.push_back(rung);
  // A bound is no trend.
  for (const evidence::RungEffect& rung : sure)
    if (!std::isfinite(rung.multiplier.high) || !(rung.multiplier.low > 0)) {
      sure.clear();
      break;
    }
  if (!sure.empty()) {
    const evidence::Extrapolation far = evidence::extrapolate(sure, totals.top_flops);
    record.extrapolated = {.multiplier = far.multiplier, .flops = totals.top_flops, .warning = far.warning};
  }
  if (standing.ablated && standing.ablated->pairs() > 0)
    record.ablation = {.pairs = standing.ablated->pairs(), .difference_without = standing.ablated->mean()};
  return record;
}

ledger::ProposalRecord proposal(const search::SearchLoop& loop, size_t i) {
  const search::Proposed& item = loop.proposals()[i];
  const evidence::Standing& standing = loop.policy().standings()[i];
  ledger::ProposalRecord record{.id = id_of(i),
                                .proposer = item.proposer,
                                .label = item.label,
                                .patches = item.patches,
                                .outcome = standing.outcome,
                                .reason = standing.reason,
                                .screened = standing.screened,
                                .confirmed = {},
                                .flops = item.cost_flops};
  if (standing.confirmed) {
    record.confirmed.emplace();
    for (const evidence::RungPairs& rung : item.confirm)
      record.confirmed->insert(record.confirmed->end(), rung.difference.begin(), rung.difference.end());
  }
  return record;
}

// A proposer's gain is that of its changes that were confirmed and kept; its cost is that of all runs of its proposals.
std::vector<ledger::SearchRecord::Proposer> proposers(const search::SearchLoop& loop) {
  std::vector<ledger::SearchRecord::Proposer> rows;
  for (const search::ProposerAccount& account : loop.accounts()) {
    ledger::SearchRecord::Proposer row{.proposer = account.proposer,
                                       .proposed = account.proposed,
                                       .failed = account.failed,
                                       .repeats = account.repeats,
                                       .stopped = account.stopped};
    for (size_t i = 0; i < loop.proposals().size(); ++i) {
      if (loop.proposals()[i].proposer != account.proposer) continue;
      row.flops += loop.proposals()[i].cost_flops;
      const evidence::Standing& standing = loop.policy().standings()[i];
      if (standing.outcome != Outcome::kAdopted) continue;
      ++row.adopted;
      row.gain -= loop.policy().reported(static_cast<int>(i)).difference.value;
    }
    rows.push_back(row);
  }
  return rows;
}

// The runs that a confirmation takes, and the smallest gain that this search could have confirmed.
ledger::SearchRecord::Needed needed(const search::SearchLoop& loop, const SearchTotals& totals) {
  double run = 0;
  for (const double flops : totals.confirm_flops) run += flops / static_cast<double>(totals.confirm_flops.size());
  const double runs = loop.policy().runs_for(1);
  const double most = search::campaign_rules().policy.most_runs;
  const double gain = loop.policy().gain_for(std::min(totals.spent_flops / run, most));
  ledger::SearchRecord::Needed row{
      .noise_floor = loop.noise_sd(), .pairs = runs, .flops = runs * run, .smallest_gain = {}};
  if (std::isfinite(gain)) row.smallest_gain = gain * loop.noise_sd();
  return row;
}

}  // namespace

int adopted_count(const search::SearchLoop& loop) {
  return static_cast<int>(std::count_if(loop.policy().standings().begin(), loop.policy().standings().end(),
                                        [](const auto& standing) { return standing.outcome == Outcome::kAdopted; }));
}

std::vector<ledger::NewRecord> search_records(const ledger::Ledger& ledger, const search::SearchLoop& loop,
                                              const SearchTotals& totals) {
  std::vector<ledger::NewRecord> records;
  ledger::SearchRecord whole{.tried = static_cast<int64_t>(loop.proposals().size()), .tests = loop.policy().tests()};
  for (size_t i = 0; i < loop.proposals().size(); ++i) {
    const Outcome outcome = loop.policy().standings()[i].outcome;
    ++whole.outcomes[std::string(name(outcome))];
    records.emplace_back(proposal(loop, i));
    if (outcome == Outcome::kAdopted) records.emplace_back(finding(ledger, loop, i, totals));
  }
  whole.alpha = search::campaign_rules().policy.alpha;
  whole.guarantee =
      "of all findings, at most 5% are expected to be false; when nothing is real, any finding has probability at "
      "most 5%";
  whole.screen_flops = totals.screen_flops;
  whole.confirm_flops = totals.confirm_flops;
  whole.noise_sd = loop.noise_sd();
  whole.needed = needed(loop, totals);
  whole.ended = totals.ended;
  if (loop.policy().endured() > 0)
    whole.endurance = ledger::SearchRecord::Endurance{loop.policy().endured(), loop.policy().ruined()};
  whole.stopped = loop.stopped();
  whole.saved_flops = loop.saved_flops();
  whole.flops = totals.spent_flops;
  whole.proposers = proposers(loop);
  records.emplace_back(whole);
  return records;
}

}  // namespace flywheel::campaign
