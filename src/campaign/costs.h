// What runs cost, from the ledger: FLOPs of model and optimizer, seconds, parameters, bytes; of two sides of a
// comparison, and of each recipe on a rung beside its loss.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/ledger.h"

namespace flywheel::campaign {

// Means over the runs of each side that have ended. NaN: no run, or not counted by the program that ran it.
ledger::ComparedCosts compared_costs(const ledger::Ledger& ledger, double rung_flops,
                                     const std::vector<std::string>& base, const std::vector<std::string>& candidate);

// FLOPs of model and optimizer that a run of the candidate takes over one of the base; those of the models alone where
// the optimizer's were not counted.
double cost_ratio(const ledger::Ledger& ledger, const std::string& base, const std::string& candidate);

// Of the runs' seconds, the share in which the processor worked for them: on a machine that is busy with other things
// it is well below 1, and their seconds say less about the recipes. Empty: none has ended.
std::optional<double> cpu_share(const ledger::Ledger& ledger, const std::vector<std::string>& runs);

// One recipe where it was measured with others: the mean of its finished runs of one rung and split.
struct ParetoEntry {
  std::string recipe_hash, name;  // name: "start", "adopted", or the change; empty: not known
  double rung_flops = 0, bits_per_byte = 0;
  int runs = 0;
  ledger::RunCosts costs;
  bool on_front = false;
};
// All recipes of the search's confirmations, of the measured gain and of comparisons, by rung and then by loss.
std::vector<ParetoEntry> pareto_table(const ledger::Ledger& ledger);
// Marks the entries of a rung that no other beats: none is at least as good in loss, FLOPs, seconds and bytes of the
// artifact, and better in one of them. What is not known does not count.
void mark_front(std::vector<ParetoEntry>& entries);

}  // namespace flywheel::campaign
