// events.jsonl: the events of a run process, one JSON object per appended line. An incomplete last line is ignored. A
// resumed run appends {"type":"start","resumed_step":k}; its events for steps after k replace the earlier ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cluster_error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "base/sampled_text.h"
#include "protocol/run_files.h"

namespace flywheel::protocol {

// Types and their fields ("t": seconds since the run process first started training, restarts excluded):
//  start      {"t","type","program","precision",*"instructions","threads","parameters","matrix_parameters",
//              "active_matrix_parameters","flops_per_token","optimizer_flops_per_step","steps","segments",
//              "predicted_memory_bytes", *"resumed_step", *"tokens", *"flops"}
//  step       {"t","type","step","tokens","loss","learning_rate","gradient_norm","tokens_per_second"}
//  eval       {"t","type","step","tokens","flops","split","loss","bits_per_byte","segments","bytes","documents",
//              "sampling_sd","sampling_degrees"}
//  checkpoint {"t","type","step"}
//  done {"t","type","step","tokens","flops","spent_flops","optimizer_flops","loss","bits_per_byte","train_seconds",
//        "cpu_seconds","peak_memory_bytes","seconds_by","segments","bytes","documents","sampling_sd",
//         "sampling_degrees"}: FLOPs are the model's;
//        spent_flops and optimizer_flops this run's own; seconds_by, of this process: "start", "sequences" (forward and
//        backward), "optimizer" (with gradients zeroed and reduced, and weights packed), "evaluation", "checkpoint"
//  stopped    {"t","type","step","reason","seconds_by"}   by its spec's stop_above; a checkpoint follows, then exit
//  code 75 failed     {"t","type","step","reason"}   reason starts with one word: diverged, memory, disk, input, crash
// "segments" is the hash of the list of segments that was scored: losses on different lists are never compared.
// Trainers that leave it out have one list of their own, named "".
struct RunEvent {
  double t = 0;
  std::string type;
  Json fields;  // the whole object
};

// Reads a growing events.jsonl from where it left off. Not thread safe.
class EventTail {
 public:
  explicit EventTail(Path path) : path_(std::move(path)) {}
  // Complete new lines; a line that is no JSON object with a type is skipped and counted. Missing file: nothing. A file
  // that was replaced or cut short is read again from its start (its "start" event resets a RunOutcome). Throws kFailed
  // when it is there and cannot be read.
  std::vector<RunEvent> poll();
  int64_t damaged_lines() const { return damaged_lines_; }

 private:
  Path path_;
  uint64_t offset_ = 0;
  uint64_t inode_ = 0;
  int64_t damaged_lines_ = 0;
};

// The state of a run, folded from its events.
struct RunOutcome {
  enum class State { kNotStarted, kRunning, kDone, kFailed } state = State::kNotStarted;
  int64_t step = 0;
  double tokens = 0, flops = 0;               // trained so far (of the surviving history)
  double train_loss = 0;                      // last reported
  std::optional<double> loss, bits_per_byte;  // of the last evaluation
  double train_seconds = 0, cpu_seconds = 0;
  uint64_t predicted_memory_bytes = 0, peak_memory_bytes = 0;
  std::string reason;  // of a failure
  std::string precision, program;
  std::map<std::string, double> seconds_by;  // what the process' seconds went into, as it said at its end
  struct EvaluationPoint {
    double tokens = 0, flops = 0, bits_per_byte = 0, loss = 0;
    int64_t step = 0;
  };
  std::string eval_split;  // of the first evaluation; evaluations on other splits do not enter the curve
  std::string segments;    // of the last evaluation; earlier ones on another list are not in the curve
  int64_t eval_bytes = 0, eval_documents = 0;  // that it scored; 0: not said
  std::optional<ClusterError> sampling;        // of its bits per byte, as an estimate for other text of this kind
  std::optional<SampledUnits> sampling_units;  // that it is over; empty: not said
  std::vector<EvaluationPoint> curve;          // evaluations, by step, resumed duplicates merged
};
// What the reason of a "stopped" event begins with.
inline constexpr const char* kGaveUp = "gave up";
// The step that a "start" event goes on from: what was said about later steps did not happen.
int64_t resumed_step(const RunEvent& start);
// Takes back what points in the order of their `step` say about steps after this one.
template <typename Point>
void rewind_to(std::vector<Point>& points, int64_t step) {
  while (!points.empty() && points.back().step > static_cast<double>(step)) points.pop_back();
}
// Folds one event in.
void apply_event(RunOutcome& outcome, const RunEvent& event);
RunOutcome read_outcome(const Path& events_path);

}  // namespace flywheel::protocol
