// The total gain of all adopted changes: paired runs of the first and the last configuration on two rungs, with seeds
// that no other run has used. Evaluated first on the audit split, which adoption decisions have used, and once, at the
// end of the lab's life, on the locked split, which no decision has used.
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "campaign/costs.h"
#include "campaign/document_sums.h"
#include "campaign/stages/stages.h"
#include "evidence/paired_runs.h"
#include "evidence/same_text.h"
#include "search/search_loop.h"

namespace flywheel::campaign {
namespace {

constexpr int kPairs = 4;                 // on each rung
constexpr int kAlone = 2;                 // runs of the start on one rung more
constexpr double kMore = 3;               // FLOPs of the start's additional rung, relative to the upper rung
constexpr double kEvaluationStart = 0.1;  // start-up seconds of an evaluation process

std::string id_of(int pair, size_t rung, bool start) {
  return fmt::format("gain-{}-r{}{}", pair, rung, start ? "-start" : "");
}

std::string in_words(const evidence::PairedEffect& effect) {
  std::string words;
  for (size_t r = 0; r < effect.rungs.size(); ++r) {
    words += fmt::format("{}{:+.4f} bits per byte at {}", words.empty() ? "" : ", ", effect.rungs[r].difference.value,
                         format_flops(effect.rungs[r].flops));
    if (effect.at_least[r] > 0)
      words += fmt::format(" (the start is worse with {:.2g} times the compute)", effect.at_least[r]);
  }
  return words;
}

// The pairs from the losses by run id on one split, and those runs. The start has an additional rung with more compute.
// `later`: the split, where the losses are of evaluations after the runs; empty: of the runs' own.
struct GainPairs {
  std::vector<evidence::RungPairs> rungs;
  std::vector<std::string> runs;
};
GainPairs gain_pairs(const Lab& lab, const std::vector<double>& rungs, const std::map<std::string, double>& losses,
                     std::optional<protocol::Split> later) {
  GainPairs result;
  std::vector<evidence::RungPairs>& pairs = result.rungs;
  for (size_t r = 0; r < rungs.size(); ++r) {
    pairs.push_back({.flops = rungs[r]});
    pairs[r].cost = cost_ratio(lab.ledger, id_of(0, r, true), id_of(0, r, false));
    std::vector<std::string> starts, ends;
    for (int i = 0; i < kPairs; ++i) {
      const auto of_end = losses.find(id_of(i, r, false)), of_start = losses.find(id_of(i, r, true));
      if (of_start == losses.end()) continue;
      result.runs.push_back(of_start->first);
      pairs[r].base.push_back(of_start->second);
      if (of_end == losses.end()) continue;
      result.runs.push_back(of_end->first);
      starts.push_back(of_start->first);
      ends.push_back(of_end->first);
      pairs[r].difference.push_back(of_end->second - of_start->second);
    }
    pairs[r].sampling = paired_sampling_error(lab.ledger, lab.runs(), starts, ends, later);
  }
  return result;
}

// Of a gain whose other fields are given.
ledger::GainRecord gain_record(ledger::GainRecord record, const GainPairs& pairs, std::string& words) {
  const evidence::PairedEffect effect = evidence::paired_effect(pairs.rungs);
  record.runs = pairs.runs;
  words = in_words(effect);
  record.slope = effect.slope;
  for (size_t r = 0; r < effect.rungs.size(); ++r) {
    record.rungs.push_back({.effect = effect.rungs[r], .at_least = {}});
    if (effect.at_least[r] > 0) record.rungs.back().at_least = effect.at_least[r];
  }
  return record;
}

// The runs that measure the gain on these two rungs, and those of the start on one more.
std::vector<PlannedRun> gain_runs(const Lab& lab, const workload::ConfigurationPtr& start,
                                  const workload::ConfigurationPtr& end, const std::vector<double>& rungs) {
  std::vector<PlannedRun> runs;
  for (size_t r = 0; r <= rungs.size(); ++r) {
    const bool alone = r == rungs.size();
    for (int i = 0; i < (alone ? kAlone : kPairs); ++i)
      for (const bool is_start : {false, true}) {
        if (alone && !is_start) continue;
        // Seeds from the thousand below those of the first proposal.
        runs.push_back(prior_planned_run(lab, id_of(i, r, is_start), protocol::Stage::kGain, is_start ? start : end,
                                         alone ? kMore * rungs.back() : rungs[r], search::kConfirmSeeds + i,
                                         protocol::Split::kAudit));
      }
  }
  return runs;
}

// FLOPs of the one look that each of them gets on the locked split.
double locked_flops(const Lab& lab, const std::vector<PlannedRun>& runs) {
  if (!workload::can_be_judged_on(lab.workload, protocol::Split::kLocked)) return 0;
  double flops = 0;
  for (const PlannedRun& run : runs)
    flops += lab.eval_tokens() * lab.workload.evaluation_flops_per_token(*run.configuration, run.size);
  return flops;
}

}  // namespace

double gain_cost(const Lab& lab, const CampaignBudget& budget, workload::ConfigurationPtr configuration,
                 const std::vector<double>& rungs) {
  double cost = 0;
  const std::vector<PlannedRun> runs = gain_runs(lab, configuration, configuration, rungs);
  for (const PlannedRun& run : runs) cost += budget.cost(*run.configuration, run.size);
  return cost + locked_flops(lab, runs);
}

Script<> measure_gain(const Lab& lab, CampaignBudget& budget, const RunBook& book, RunLoop& loop,
                      workload::ConfigurationPtr start, workload::ConfigurationPtr end, std::vector<double> rungs) {
  std::vector<PlannedRun> runs = gain_runs(lab, start, end, rungs);
  rungs.push_back(kMore * rungs.back());
  // Reserves what the evaluations at the end of the campaign take.
  LastLook last_look = budget.last_look();
  last_look.gain_flops = locked_flops(lab, runs);
  if (!book.throughput().empty())
    last_look.seconds += static_cast<double>(runs.size()) * kEvaluationStart +
                         last_look.gain_flops / book.throughput().flops_per_second(1e5);
  budget.keep(last_look);
  if (budget.is_spent() || lab.ledger.last<ledger::GainRecord>()) co_return;
  const size_t wanted = runs.size();
  const std::vector<ledger::RunRow> rows = co_await loop.ensure(std::move(runs));
  std::map<std::string, double> losses;
  for (const ledger::RunRow& row : rows) {
    evidence::check_same_text(rows.front(), row);
    if (row.state == protocol::RunState::kDone && row.bits_per_byte) losses[row.run] = *row.bits_per_byte;
  }
  if (losses.size() < wanted) {
    lab.say("the total gain of the adopted changes was not measured: runs are missing");
    co_return;
  }
  std::string words;
  lab.ledger.append(gain_record({.split = workload::audit_split(lab.workload),
                                 .start_hash = start->identity(),
                                 .recipe_hash = end->identity(),
                                 .flops = rungs},
                                gain_pairs(lab, rungs, losses, {}), words));
  lab.say(fmt::format("together, on the {} split: {}", name(workload::audit_split(lab.workload)), words));
}

Script<> measure_locked_gain(const Lab& lab, RunLoop& loop) {
  constexpr auto kLocked = protocol::Split::kLocked;
  if (!workload::can_be_judged_on(lab.workload, kLocked)) co_return;
  const auto records = lab.ledger.all<ledger::GainRecord>();
  if (records.size() != 1) co_return;  // not measured on the audit split, or already evaluated
  const ledger::GainRecord& audit = records[0].value;
  std::map<std::string, double> losses;
  const std::string segments = lab.workload.segments(kLocked, static_cast<int64_t>(lab.eval_tokens()));
  for (const auto& [sequence, time, evaluation] : lab.ledger.all<ledger::EvaluationRecord>())
    if (evaluation.split == kLocked && evaluation.segments == segments)
      losses[evaluation.run] = evaluation.bits_per_byte;
  for (const std::string& id : audit.runs) {
    if (losses.contains(id)) continue;
    co_await loop.give_way();
    const ledger::EvaluationRecord evaluation = evaluated(lab, id, kLocked, static_cast<int64_t>(lab.eval_tokens()));
    losses[id] = evaluation.bits_per_byte;
    lab.ledger.append(evaluation);
  }
  std::string words;
  const GainPairs pairs = gain_pairs(lab, audit.flops, losses, kLocked);
  ledger::GainRecord locked = gain_record(
      {.split = kLocked, .start_hash = audit.start_hash, .recipe_hash = audit.recipe_hash, .flops = audit.flops}, pairs,
      words);
  std::map<std::string, double> own;  // the same runs on the audit split
  for (const std::string& id : audit.runs)
    if (const auto row = lab.ledger.run(id); row && row->bits_per_byte) own[id] = *row->bits_per_byte;
  locked.inside = evidence::lists_agree(gain_pairs(lab, audit.flops, own, {}).rungs, pairs.rungs);
  lab.ledger.append(locked);
  lab.say(fmt::format("together, on the locked split: {}; {}", words,
                      locked.inside ? *locked.inside ? "as on the audit split, within the errors of both"
                                                     : "not as on the audit split: the errors of both do not explain it"
                                    : "whether that is as on the audit split cannot be told"));
}

}  // namespace flywheel::campaign
