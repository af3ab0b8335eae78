// Records of the search: proposals, findings, the search as a whole, its total gain, and comparisons.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ledger/records/effects.h"
#include "protocol/splits.h"
#include "protocol/verdicts.h"

namespace flywheel::ledger {

// "proposal": the outcome of a proposal.
struct ProposalRecord {
  std::string id{}, proposer{}, label{};
  std::vector<std::string> patches{};
  protocol::Outcome outcome = protocol::Outcome::kOpen;
  std::string reason{};
  std::vector<double> screened{};  // differences to the base's mean, bits per byte
  // Of the runs of its confirmation, less the mean of the base's pool on their rung; of ledgers of before, of pairs.
  std::optional<std::vector<double>> confirmed{};
  double flops = 0;
};

// "finding": a proposal that passed the lab's test, with its evidence.
struct FindingRecord {
  std::string id{}, proposer{}, label{}, change{};
  std::vector<std::string> patches{};
  std::string recipe_hash{};               // of the base with it
  Interval difference{};                   // over seeds and documents
  std::optional<ClusterError> sampling{};  // of the difference, over documents; empty: not in the interval
  Interval multiplier{};                   // of compute; fields "compute_multiplier", "low", "high"
  Slope slope{};
  std::vector<double> rungs{};  // FLOPs
  std::vector<RungEffect> by_rung{};
  int pairs = 0;  // runs of the candidate, over the rungs; of ledgers of before, pairs
  double log_e = 0, level = 0;
  int test = 0;
  protocol::Split split = protocol::Split::kAudit;
  std::vector<std::string> runs{};
  // Beside compute; not there in ledgers of before.
  std::optional<Interval> time_multiplier{};
  std::optional<double> cpu_share{};     // of the seconds of its pairs that the processor worked for them
  std::optional<ComparedCosts> costs{};  // on its upper rung
  struct Extrapolated {
    Interval multiplier{};  // value: field "compute_multiplier"
    double flops = 0;
    std::string warning{};  // field "warning" of the finding; empty: none
  };
  std::optional<Extrapolated> extrapolated{};
  struct Ablation {
    int pairs = 0;
    double difference_without = 0;
  };
  std::optional<Ablation> ablation{};
};

// "search": the whole of it.
struct SearchRecord {
  int64_t tried = 0, tests = 0;
  double alpha = 0;
  std::string guarantee{};
  double screen_flops = 0;
  std::vector<double> confirm_flops{};
  double noise_sd = 0;
  std::map<std::string, int> outcomes{};
  // What a claim takes, and the smallest gain that this search could have claimed.
  struct Needed {
    double noise_floor = 0, pairs = 0, flops = 0;
    std::optional<double> smallest_gain{};
  };
  std::optional<Needed> needed{};
  std::optional<std::string> ended{};  // why; not there in ledgers of before
  // Further short runs of the recipe found, and how many of them ended far above the others or failed.
  struct Endurance {
    int64_t runs = 0, ruined = 0;
  };
  std::optional<Endurance> endurance{};
  int64_t stopped = 0;
  double saved_flops = 0, flops = 0;
  struct Proposer {
    std::string proposer{};
    int64_t proposed = 0, failed = 0, repeats = 0, stopped = 0, adopted = 0;
    double gain = 0, flops = 0;
    std::string dropped{};  // why it is no longer asked; empty while it is
  };
  std::vector<Proposer> proposers{};
};

// "gain": everything adopted, together, on one split.
struct GainRecord {
  protocol::Split split = protocol::Split::kAudit;
  std::string start_hash{}, recipe_hash{};
  std::vector<double> flops{};  // of the rungs; the start has one more than the end
  struct Rung {
    RungEffect effect{};
    std::optional<double> at_least{};  // times the compute with which the start loses all the same
  };
  std::vector<Rung> rungs{};
  Slope slope{};
  std::vector<std::string> runs{};
  // Of the locked split only: the same as on audit within the errors of both (90%); empty: it cannot be said.
  std::optional<bool> inside{};
};

// "comparison": the answer of `flywheel compare`.
struct ComparisonRecord {
  protocol::ComparisonVerdict verdict = protocol::ComparisonVerdict::kUndecided;
  Interval difference{};                   // over seeds and documents; 95%, the verdict's level
  std::optional<ClusterError> sampling{};  // as in FindingRecord
  std::optional<Interval> multiplier{};    // 90%, as the next; field "compute_multiplier"; empty: null
  std::optional<Interval> time_multiplier{};
  std::optional<double> cpu_share{};                  // of the seconds of its runs that the processor worked for them
  std::optional<std::vector<ComparedCosts>> costs{};  // of each rung
  std::vector<RungEffect> rungs{};
  std::optional<std::string> warning{};
  std::optional<std::string> why{};
  // Of "no difference" and "undecided", in bits per byte: larger differences are excluded on both rungs, at 95%; and
  // the same as a share of compute. Empty: no pairs to say so.
  std::optional<double> bound{}, bound_worth{};
  std::optional<double> smallest_effect{};  // of interest, as a share of compute
  // While undecided: the budget that decides it, times this one's, and the verdict expected then. Ledgers of before
  // have none where the evidence did not grow.
  std::optional<double> more_budget{};
  std::optional<protocol::ComparisonVerdict> expected_verdict{};
  // Runs of each side: failed for what their recipe does, or finished far above the others of their side.
  struct Sides {
    int64_t base = 0, candidate = 0;
  };
  std::optional<Sides> failed{}, ruined{};
  struct Spend {
    double seconds = 0, train_flops = 0;
    std::optional<double> optimizer_flops{}, evaluation_flops{};  // beside train_flops
    int64_t runs = 0;
  };
  Spend spend{};
};

}  // namespace flywheel::ledger
