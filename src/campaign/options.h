// The options of a campaign and what all of its parts share; both stay constant while it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/format.h"
#include "evidence/effect_prior.h"
#include "ledger/ledger.h"
#include "workload/workload.h"

namespace flywheel::campaign {

// Of `flywheel compare`.
struct CompareRules {
  int planned_pairs = 12;         // on each rung, for which the budget is planned
  double smallest_effect = 0.05;  // of interest, as a share of compute (evidence/paired_comparison.h)
};

struct CampaignOptions {
  Path lab;  // absolute; holds ledger, corpus/ and runs/
  Budget budget;
  // Reading of the Clock when the command began; preparation counts towards the budget.
  double started_clock_seconds = 0;
  int slots = 1;  // cores that the runner offers: ladders are planned for this many concurrent runs
  uint64_t seed = 1;
  workload::ConfigurationPtr configuration;  // the campaign's starting point
  double max_epochs = 8;                     // of the training split, for one run
  int64_t train_tokens = 0, search_tokens = 0;
  // Names of the proposers; empty: no search. `list` is the TOML of the proposer "list", `list_source` its name in
  // messages.
  std::vector<std::string> proposers;
  std::string list, list_source;
  std::vector<std::string> known;           // identities of configurations whose outcome earlier labs have settled
  std::vector<evidence::Evidence> earlier;  // what the searches of earlier labs screened, as shares of the loss
  bool keep_checkpoints = false;            // of every run; else only those that something will read again
  bool branching = true;                    // ladder runs may continue from shorter runs of their size and seed
};

// What every part of a campaign may use. The referenced objects outlive it.
struct Lab {
  ledger::Ledger& ledger;
  workload::Workload& workload;
  Clock& clock;
  CampaignOptions options;
  std::function<void(const std::string&)> say;  // one line per result
  std::function<bool()> should_stop;

  Path runs() const { return options.lab / "runs"; }
  // Tokens of each evaluation of a run, on any split.
  double eval_tokens() const;
  // Limit on the training tokens of one run: the corpus times the most epochs allowed.
  double max_tokens() const { return options.max_epochs * static_cast<double>(options.train_tokens); }
  // FLOPs of a run, its evaluations included.
  double cost_flops(const workload::Configuration& configuration, const workload::SizedRun& run) const;
  // A run of `flops` at the size that the prior takes for compute-optimal. Throws kFailed when no size fits.
  workload::SizedRun prior_run(const workload::Configuration& configuration, double flops) const;
};

}  // namespace flywheel::campaign
