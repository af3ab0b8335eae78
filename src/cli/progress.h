// Progress output of a campaign on stderr: one line per result, and the state of the runs (rewritten in place on a
// terminal, a plain line at intervals elsewhere).
#pragma once

#include <string>

#include "scheduler/scheduler.h"

namespace flywheel::cli {

// The state of the runs in one line. Losses in bits per byte, of training, for all runs alike; `per_nat`: bits per byte
// of one nat per token, 0: not known, no loss is shown.
std::string progress_line(const scheduler::Progress& progress, double seconds_left, double per_nat);

// Not thread safe.
class ProgressPrinter {
 public:
  ProgressPrinter();
  ~ProgressPrinter();
  // A line that stays.
  void say(const std::string& line);
  void show(const scheduler::Progress& progress, double seconds_left, double per_nat);

 private:
  void clear();
  bool terminal_;
  bool shown_ = false;
  double last_ = -1e9;
};

}  // namespace flywheel::cli
