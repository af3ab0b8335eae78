// Writes events.jsonl, one object a line, as protocol/run_events.h describes it. Every event reaches the file at once.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/json_fwd.h"
#include "engine/train/sample_loss.h"

namespace flywheel::train {

// What events and `flywheel evaluate --json` say of an evaluation beside its loss: segments, bytes, documents,
// sampling_sd, sampling_degrees, and where the corpus says it, clusters, cut_documents and blocks that these are over.
OrderedJson sample_fields(const SampleLoss& loss);

// One writer per file. Appending throws kFailed when the disk is full.
class EventWriter {
 public:
  // `seconds_before`: of training in earlier processes of this run.
  EventWriter(FileSystem& files, Clock& clock, const Path& path, double seconds_before);

  double seconds() const;  // since the run first started training, restarts excluded
  // Adds "t" and "type" before the fields.
  void write(const std::string& type, const OrderedJson& fields);

 private:
  Clock& clock_;
  std::unique_ptr<AppendFile> file_;
  double origin_;
};

}  // namespace flywheel::train
