// What starts run processes: on this machine, on a cluster, or in a test's virtual time. All side effects are here.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "protocol/resources.h"

namespace flywheel::scheduler {

using protocol::Resources;

// A run to be started. Its spec.json is in the directory.
struct Launch {
  std::string run;
  Path directory;
  Resources needs;
  std::vector<std::string> command;  // program and arguments; empty: this program's own `train SPEC --dir RUN`
};

struct RunnerEvent {
  enum class What {
    kEnded,            // reported once
    kCapacityChanged,  // ask capacity() again
  } what = What::kEnded;
  std::string run;    // empty for kCapacityChanged
  int exit_code = 0;  // of the contract; 128 + n: ended by signal n; -1: unknown (the process is not our child)
};

// How a process is found again after a restart of the lab is up to the runner (a file in the run directory, a job name
// in a queue): the scheduler knows only runs and their directories. Used from one thread.
class Runner {
 public:
  virtual ~Runner() = default;
  // Everything that runs of this lab may use at once, including what running ones use. May change at any time; running
  // runs continue.
  virtual Resources capacity() = 0;
  // Starts a run on resources of its own choice. Throws kFailed when it cannot be started.
  virtual void start(const Launch& launch) = 0;
  // Takes over the run that an earlier lab process started in this directory; false when there is none.
  virtual bool adopt(const std::string& run, const Path& directory, const Resources& needs) = 0;
  // Asks for a checkpoint and exit code 75, and kills after the grace. A run that has ended already is no error.
  virtual void stop(const std::string& run, double grace_seconds) = 0;
  virtual void kill(const std::string& run) = 0;
  // Events since the last call. Waits at most `most_seconds` for the first one; may return early without any.
  virtual std::vector<RunnerEvent> wait(double most_seconds) = 0;
};

}  // namespace flywheel::scheduler
