#include "campaign/costs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "base/statistics.h"
#include "evidence/same_text.h"

namespace flywheel::campaign {
namespace {

using ledger::RunCosts;

constexpr double kNotKnown = ledger::kNotKnown;

std::optional<ledger::RunPlanned> planned(const ledger::Ledger& ledger, const std::string& run) {
  const auto row = ledger.run(run);
  if (!row) return std::nullopt;
  const auto record = ledger.at<ledger::RunPlanned>(row->record);
  return record ? std::optional(record->value) : std::nullopt;
}

// Means, run after run.
class Sum {
 public:
  void add(const ledger::Ledger& ledger, const ledger::RunRow& row) {
    const auto record = ledger.at<ledger::RunPlanned>(row.record);
    if (!record) return;
    const ledger::RunPlanned& run = record->value;
    const std::array<double, 7> values = {run.flops,
                                          run.optimizer_flops.value_or(kNotKnown),
                                          row.seconds,
                                          run.total_parameters,
                                          run.parameters,
                                          run.artifact_bytes.value_or(kNotKnown),
                                          run.lookup_bytes.value_or(run.optimizer_flops ? 0 : kNotKnown)};
    for (size_t i = 0; i < values.size(); ++i) sums_[i] += values[i];
    ++runs_;
  }
  int runs() const { return runs_; }
  RunCosts mean() const {
    const auto at = [this](size_t i) { return runs_ > 0 ? sums_[i] / runs_ : kNotKnown; };
    return {.model_flops = at(0),
            .optimizer_flops = at(1),
            .seconds = at(2),
            .parameters = at(3),
            .matrix_parameters = at(4),
            .artifact_bytes = at(5),
            .lookup_bytes = at(6)};
  }

 private:
  std::array<double, 7> sums_{};
  int runs_ = 0;
};

RunCosts mean_costs(const ledger::Ledger& ledger, const std::vector<std::string>& runs) {
  Sum sum;
  for (const std::string& id : runs)
    if (const auto row = ledger.run(id); row && row->state == protocol::RunState::kDone) sum.add(ledger, *row);
  return sum.mean();
}

// Two costs that differ by less are one: seconds of equal work vary by some percent, and what counts exactly may differ
// by a parameter. Losses are compared as they are.
constexpr double kAlikeTimes = 1.05, kAlikeCounts = 1.001;

// Is `a` at least as good as `b` everywhere, and better somewhere?
bool beats(const ParetoEntry& a, const ParetoEntry& b) {
  const auto axes = [](const ParetoEntry& entry) {
    const double optimizer = std::isfinite(entry.costs.optimizer_flops) ? entry.costs.optimizer_flops : 0;
    return std::array{entry.bits_per_byte, entry.costs.model_flops + optimizer, entry.costs.seconds,
                      entry.costs.artifact_bytes};
  };
  constexpr double kAlike[] = {1, kAlikeCounts, kAlikeTimes, kAlikeCounts};
  const auto left = axes(a), right = axes(b);
  bool better = false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] > kAlike[i] * right[i]) return false;
    better = better || kAlike[i] * left[i] < right[i];
  }
  return better;
}

// Its label, else what it patches: "model.head_dim=8".
std::string change_of(const ledger::ProposalRecord& proposal) {
  return proposal.label.empty() ? fmt::format("{}", fmt::join(proposal.patches, ", ")) : proposal.label;
}

// Of recipes by their hashes, from the records that name them.
std::map<std::string, std::string> names(const ledger::Ledger& ledger) {
  std::map<std::string, std::string> names;
  for (const auto& finding : ledger.all<ledger::FindingRecord>())
    names[finding.value.recipe_hash] = finding.value.label.empty() ? finding.value.change : finding.value.label;
  for (const auto& gain : ledger.all<ledger::GainRecord>()) {
    names[gain.value.start_hash] = "start";
    names[gain.value.recipe_hash] = "adopted";
  }
  for (const auto& proposal : ledger.all<ledger::ProposalRecord>()) {
    const auto row = ledger.run("confirm-" + proposal.value.id + "-0");
    if (row) names.try_emplace(row->recipe_hash, change_of(proposal.value));
    if (const auto base = ledger.run("confirm-" + proposal.value.id + "-0-base"))
      names.try_emplace(base->recipe_hash, "start");
  }
  if (const auto base = ledger.run("pair-0-base")) names[base->recipe_hash] = "base";
  if (const auto candidate = ledger.run("pair-0-candidate")) names[candidate->recipe_hash] = "candidate";
  return names;
}

}  // namespace

ledger::ComparedCosts compared_costs(const ledger::Ledger& ledger, double rung_flops,
                                     const std::vector<std::string>& base, const std::vector<std::string>& candidate) {
  return {.flops = rung_flops, .base = mean_costs(ledger, base), .candidate = mean_costs(ledger, candidate)};
}

double cost_ratio(const ledger::Ledger& ledger, const std::string& base, const std::string& candidate) {
  const auto a = planned(ledger, base), b = planned(ledger, candidate);
  if (!a || !b || a->flops <= 0 || b->flops <= 0) return 1;
  const bool counted = a->optimizer_flops && b->optimizer_flops;
  return (b->flops + (counted ? *b->optimizer_flops : 0)) / (a->flops + (counted ? *a->optimizer_flops : 0));
}

std::optional<double> cpu_share(const ledger::Ledger& ledger, const std::vector<std::string>& runs) {
  double worked = 0, passed = 0;
  for (const std::string& id : runs)
    if (const auto row = ledger.run(id); row && row->state == protocol::RunState::kDone) {
      worked += row->cpu_seconds;
      passed += row->seconds;
    }
  return passed > 0 ? std::optional(std::min(1.0, worked / passed)) : std::nullopt;
}

void mark_front(std::vector<ParetoEntry>& entries) {
  for (ParetoEntry& entry : entries)
    entry.on_front = std::none_of(entries.begin(), entries.end(), [&](const ParetoEntry& other) {
      return other.rung_flops == entry.rung_flops && beats(other, entry);
    });
}

std::vector<ParetoEntry> pareto_table(const ledger::Ledger& ledger) {
  using protocol::Stage;
  struct Group {
    Sum costs;
    std::vector<double> losses;
  };
  std::map<double, ledger::RunRow> first_of_rung;
  std::map<std::tuple<double, std::string>, Group> groups;
  for (const ledger::RunRow& row : ledger.runs()) {
    const bool compared = row.stage == Stage::kConfirm || row.stage == Stage::kGain || row.stage == Stage::kCompare;
    if (!compared || row.state != protocol::RunState::kDone || !row.bits_per_byte) continue;
    evidence::check_same_text(first_of_rung.try_emplace(row.rung_flops, row).first->second, row);
    Group& group = groups[{row.rung_flops, row.recipe_hash}];
    group.costs.add(ledger, row);
    group.losses.push_back(*row.bits_per_byte);
  }
  const std::map<std::string, std::string> known = names(ledger);
  std::vector<ParetoEntry> entries;
  for (const auto& [key, group] : groups) {
    const auto& [rung, hash] = key;
    const auto name = known.find(hash);
    entries.push_back({.recipe_hash = hash,
                       .name = name == known.end() ? "" : name->second,
                       .rung_flops = rung,
                       .bits_per_byte = mean(group.losses),
                       .runs = group.costs.runs(),
                       .costs = group.costs.mean()});
  }
  mark_front(entries);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.rung_flops, a.bits_per_byte) < std::tuple(b.rung_flops, b.bits_per_byte);
  });
  return entries;
}

}  // namespace flywheel::campaign
