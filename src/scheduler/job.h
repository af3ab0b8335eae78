// A run as the scheduler takes it: its spec is opaque, only cost, resources and priority matter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/resources.h"
#include "protocol/run_work.h"
#include "protocol/stages.h"

namespace flywheel::scheduler {

using protocol::Resources;

// Ids are chosen by the campaign and stable across restarts, so that a finished run is never repeated. An id names a
// folder: letters, digits and "._-" only, no leading dot.
struct Job {
  std::string id;
  std::string spec;        // text of spec.json, for the trainer alone
  protocol::RunWork work;  // FLOPs by step
  protocol::StageName stage;
  double rung_flops = 0;
  // Wall clock seconds on the resources it needs; 0: unknown. A run that would end after the deadline is not started.
  double expected_seconds = 0;
  int priority = 0;                  // higher starts first; equal: longest expected first
  Resources needs = {};              // more cores than the runner has count as all of its cores
  std::vector<std::string> command;  // program and arguments; empty: this program's own `train SPEC --dir RUN`
  bool may_give_up = false;          // the spec has a stopping rule

  // For its record in the ledger (ledger/records/run.h, RunPlanned).
  std::string configuration;  // identity of its configuration
  uint64_t seed = 1, data_seed = 1;
  std::string segments;  // hash of the list of segments that it is scored on; empty: the trainer's own
  double parameters = 0, total_parameters = 0, tokens = 0;
  double flops = 0;                             // of the model's whole training, a trunk's included
  double new_flops = 0;                         // that the run itself trains: without a trunk's
  double lookup_bytes = 0, artifact_bytes = 0;  // 0: not known
  std::string branch;                           // id of its trunk; empty: none

  // That it is charged for: those of model, optimizer and evaluations.
  double budget_flops() const { return flops_left(1, work.first_step); }
  // Likewise, from this step on, where `left` of the model's own FLOPs are left. The last evaluation is always to come.
  double flops_left(double left, int64_t step) const { return left * new_flops + work.beside_after(step); }
};

}  // namespace flywheel::scheduler
