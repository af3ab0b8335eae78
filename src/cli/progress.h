// Progress output of a campaign on stderr: one line per result, and the state of the runs (rewritten in place on a
// terminal, a plain line at intervals elsewhere).
#pragma once

#include <string>

#include "scheduler/scheduler.h"

namespace flywheel::cli {

// Not thread safe.
class ProgressPrinter {
 public:
  ProgressPrinter();
  ~ProgressPrinter();
  // A line that stays.
  void say(const std::string& line);
  void show(const scheduler::Progress& progress, double seconds_left);

 private:
  void clear();
  bool terminal_;
  bool shown_ = false;
  double last_ = -1e9;
};

}  // namespace flywheel::cli
