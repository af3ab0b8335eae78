// What starts run processes: on this machine, later on Slurm or from a replayed table. All side effects are here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "protocol/run_spec.h"

namespace flywheel::scheduler {

struct RunnerExit {
  std::string run;
  int exit_code = 0;  // of the contract; 128 + n: killed by signal n; -1: gone without a trace (adopted child)
};

// Used from one thread.
class Runner {
 public:
  virtual ~Runner() = default;
  // Starts the run whose spec.json lies in `run_directory`, on these cores (of this slot).
  virtual ProcessIdentity start(const std::string& run, const Path& run_directory, const std::vector<int>& cpus) = 0;
  // Takes over a child that an earlier lab process started; false when it is gone.
  virtual bool adopt(const std::string& run, const ProcessIdentity& identity) = 0;
  // Runs that ended since the last call.
  virtual std::vector<RunnerExit> poll() = 0;
  virtual void signal(const std::string& run, int signal_number) = 0;
};

}  // namespace flywheel::scheduler
