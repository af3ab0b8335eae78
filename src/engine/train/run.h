// One run process, as `flywheel train` runs it: from spec.json and a directory to a finished model or a clear error.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/json_fwd.h"
#include "recipe/run_spec.h"

namespace flywheel::train {

// For people who watch.
struct RunProgress {
  int64_t step = 0, steps = 0;
  double loss = 0, tokens_per_second = 0, seconds_left = 0;
};

struct RunOptions {
  recipe::RunSpec spec;
  Path directory;
  std::string program;  // name and version, for the start event
  // Asked after each step; a signal's number ends the run there: SIGINT with kInterrupted, others with kStoppedEarly.
  // May be empty.
  std::function<int()> stop_signal;
  // Asked after each step: how many checkpoints were wished for so far. One more, and one is written at once. May be
  // empty.
  std::function<int64_t()> checkpoint_requests;
  std::function<void(const RunProgress&)> progress;  // after each logged step; may be empty
  std::function<void(const std::string&)> warn;      // a damaged checkpoint, say; may be empty
  uint64_t available_memory_bytes = 0;               // 0: ask the machine
  // When the trunk's checkpoint of a branched run is missing: repeat the trunk in directory/trunk from its spec, and
  // recursively its own trunk. Bit-identical and not charged; used to reproduce a lab's run.
  bool repeat_trunk = false;
};

// Starts or resumes the run in options.directory and returns its "done" event; a finished run returns at once.
// Throws Error with the exit code of the contract: kBadInput (nothing was written: another process works there, another
// spec is there, the corpus does not serve), kStoppedEarly and kInterrupted (a checkpoint is there), kFailed (with a
// "failed" event: diverged, memory, disk, input).
OrderedJson run_training(const RunOptions& options, FileSystem& files = real_file_system(),
                         Clock& clock = real_clock());

}  // namespace flywheel::train
