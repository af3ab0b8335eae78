// What starts run processes: on this machine, later on Slurm or from a replayed table. All side effects are here.
#pragma once

#include <string>
#include <vector>

#include "recipe/run_spec.h"

namespace flywheel::scheduler {

struct RunnerExit {
  std::string run;
  int exit_code = 0;  // of the contract; 128 + n: killed by signal n; -1: gone without a trace (adopted child)
};

// How a process is found again after a restart of the lab is the runner's own matter (a pid in the run directory, a job
// name in a queue): the scheduler only knows runs and their directories. Used from one thread.
class Runner {
 public:
  virtual ~Runner() = default;
  // Starts the run whose spec.json lies in `run_directory`, on these cores (of its slots; empty: any). Throws kFailed
  // when it cannot be started.
  virtual void start(const std::string& run, const Path& run_directory, const std::vector<int>& cpus) = 0;
  // Takes over a process that an earlier lab process started on this directory; false when there is none.
  virtual bool adopt(const std::string& run, const Path& run_directory) = 0;
  // Runs that ended since the last call, each once.
  virtual std::vector<RunnerExit> poll() = 0;
  // SIGTERM asks for a checkpoint and exit 75; SIGKILL ends it. A run that is already gone is no error.
  virtual void signal(const std::string& run, int signal_number) = 0;
};

}  // namespace flywheel::scheduler
