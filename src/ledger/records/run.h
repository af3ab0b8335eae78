// Records of runs: planned, started, an attempt ended, finished for good.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cluster_error.h"
#include "base/sampled_text.h"
#include "protocol/stages.h"
#include "protocol/states.h"

namespace flywheel::ledger {

// "run": planned and reserved, before it starts.
struct RunPlanned {
  std::string run{};
  protocol::StageName stage{};
  double rung_flops = 0;
  std::string recipe_hash{};  // identity of what is trained
  uint64_t seed = 0, data_seed = 0;
  double parameters = 0, total_parameters = 0;  // the law's N, and all; written as whole numbers
  double tokens = 0;                            // of the model's whole history; written as a whole number
  double flops = 0;                             // likewise
  double reserved_seconds = 0;
  uint64_t memory_bytes = 0;
  std::string segments{};  // hash of the list of segments that it is scored on; empty: left out, of older versions
  // Of a branched run: its trunk, and what it trains beyond the trunk.
  std::optional<std::string> branch{};
  std::optional<double> new_flops{};
  // Of the model's whole history; not there: not counted.
  std::optional<double> optimizer_flops{}, lookup_bytes{};
  std::optional<double> artifact_bytes{};  // of the trained weights' file
};

// "start": before its process starts, which the runner finds again.
struct RunStarted {
  std::string run{};
  int attempt = 1;
  int64_t events_before = 0;  // events in events.jsonl that belong to earlier attempts
  std::vector<int> slots{};
};

// An evaluation of a run on the way.
struct RunCurvePoint {
  double tokens = 0, flops = 0, bits_per_byte = 0, loss = 0;
  int64_t step = 0;
};

// "attempt": an attempt that may be repeated, and what it spent. Repeated work counts in both attempts.
struct AttemptEnded {
  std::string run{};
  protocol::AttemptState state = protocol::AttemptState::kFailed;
  std::string reason{};
  // Measured from its events; empty when its folder is gone.
  struct Measured {
    int attempt = 1;
    double seconds = 0, flops = 0;
    // Beside `flops`, of the optimizer and of the attempt's evaluations; not there: not counted.
    std::optional<double> optimizer_flops{}, evaluation_flops{};
    double all_flops() const { return flops + optimizer_flops.value_or(0) + evaluation_flops.value_or(0); }
    std::vector<RunCurvePoint> curve{};
    std::map<std::string, double> seconds_by{};  // what they went into
  };
  std::optional<Measured> measured{};
};

// "finish": once per run that ended for good.
struct RunFinished {
  std::string run{};
  protocol::RunState state = protocol::RunState::kDone;  // done, failed or stopped
  std::string reason{};                                  // empty: left out
  double seconds = 0;                                    // of the last attempt
  uint64_t predicted_memory_bytes = 0;
  // What its events said; empty where it never ran.
  struct Measured {
    std::optional<double> bits_per_byte{}, loss{};
    std::optional<ClusterError> sampling{};                 // of bits_per_byte, as an estimate for other text
    std::optional<SampledUnits> units{};                    // that it is over; not there: documents, as far as is known
    std::optional<int64_t> eval_bytes{}, eval_documents{};  // that bits_per_byte is of
    double tokens = 0, flops = 0;                           // that the model was trained with
    std::optional<double> attempt_flops{};                  // that the last attempt spent; not there: `flops`
    // Beside, of the last attempt's optimizer and evaluations; not there: not counted.
    std::optional<double> optimizer_flops{}, evaluation_flops{};
    double train_seconds = 0, cpu_seconds = 0;
    uint64_t peak_memory_bytes = 0;
    std::string precision{}, program{};
    std::map<std::string, double> seconds_by{};  // of the last attempt, by what they went into
    std::vector<RunCurvePoint> curve{};
    // That the last attempt spent.
    double all_attempt_flops() const {
      return attempt_flops.value_or(flops) + optimizer_flops.value_or(0) + evaluation_flops.value_or(0);
    }
  };
  std::optional<Measured> measured{};
};

}  // namespace flywheel::ledger
