// A run that a campaign has planned and not yet given to the scheduler: how to start it and what its record will say.
#pragma once

#include <optional>
#include <string>

#include "protocol/stages.h"
#include "workload/workload.h"

namespace flywheel::campaign {

struct PlannedRun {
  std::string id;
  protocol::Stage stage = protocol::Stage::kLadder;
  double rung_flops = 0;
  workload::SizedRun size{};
  workload::ConfigurationPtr configuration{};
  int replicate = 0;  // determines seed and data order within the campaign
  int priority = 0;
  protocol::Split split = protocol::Split::kSearch;
  // Its wall time is used to estimate the throughput of the campaign's own configuration.
  bool times_machine = true;

  bool keeps_trunk = false;  // keeps its stable checkpoint for longer runs
  std::string trunk{};       // the run it branches from; empty: none

  // Fraction of its steps of the one evaluation that it gets instead of the usual ones; 0: the usual ones.
  double evaluated_at = 0;
  std::optional<double> stop_above{};  // it gives up when its bits per byte there are above this
  bool resumes = false;                // continues to its end although it gave up before
};

}  // namespace flywheel::campaign
