// The ladder: which rungs, how many sizes on each, so that the whole campaign fits its budget. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "campaign/throughput.h"
#include "ledger/records/decisions.h"
#include "workload/workload.h"

namespace flywheel::campaign {

// Branches each of `runs` from the trunk that saves it most FLOPs, where there is one.
void branch_off(const workload::Workload& workload, const workload::Configuration& configuration,
                std::vector<workload::SizedRun>& runs, std::span<const workload::SizedRun> trunks);

struct LadderLimits {
  double wall_seconds = 0;  // for all stages from tuning to the top rung; 0: not limited
  double flops = 0;         // likewise; 0: not limited
  int slots = 1;
  double max_tokens = 0;       // of one run: the corpus times the most epochs allowed
  double eval_tokens = 65536;  // of every evaluation
  double lowest_flops = 0;     // of the lowest rung; at least kSmallestRungFlops
  bool branching = true;       // runs go on from shorter ones of their size where the recipe allows it
};

// How the budget is spent over the rungs. Rungs are geometric from lowest to top; the top rung is forecast before it is
// run. noise_runs: replicates in addition to the ladder's own run. middle_sizes: an upper limit (rung_design.h).
using LadderPlan = ledger::LadderFields;

inline constexpr double kSmallestRungFlops = 6e9;  // shorter runs carry no information about the law
inline constexpr double kWantedRange = 36;         // top over lowest rung
inline constexpr int kWantedRungs = 7;
inline constexpr int kFewestRungs = 3;

// Cost of a stage whose runs share the slots, longest first.
struct Cost {
  double wall_seconds = 0, flops = 0;
};
Cost operator+(Cost a, Cost b);
Cost stage_cost(const workload::Workload& workload, const workload::Configuration& configuration,
                const Throughput& throughput, const LadderLimits& limits, const std::vector<workload::SizedRun>& runs);
bool fits(const Cost& cost, const LadderLimits& limits);

// The largest ladder within the limits. Throws kBadInput naming the budget needed when even the smallest does not fit.
LadderPlan plan_ladder(const workload::Workload& workload, const workload::Configuration& configuration,
                       const Throughput& throughput, const LadderLimits& limits);
// FLOPs of the highest top rung, at most max_rung, whose `top_sizes` runs stay within the limits.
double top_rung_flops(const workload::Workload& workload, const workload::Configuration& configuration,
                      const Throughput& throughput, const LadderLimits& limits, double centre_parameters,
                      double centre_flops, int top_sizes, double max_rung, std::span<const workload::SizedRun> trunks);

}  // namespace flywheel::campaign
