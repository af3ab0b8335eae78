// Runs as child processes of this machine: `flywheel train RUN/spec.json --dir RUN`. They outlive a killed lab.
#pragma once

#include <map>

#include "base/subprocess.h"
#include "scheduler/runner.h"

namespace flywheel::scheduler {

class LocalRunner : public Runner {
 public:
  // `command`: what comes before SPEC --dir RUN; empty: this program's own `train`. A user's own trainer goes here.
  explicit LocalRunner(std::vector<std::string> command = {});

  void start(const std::string& run, const Path& run_directory, const std::vector<int>& cpus) override;
  // By the process named in RUN/process.json, if it is still that one (pid, start time and boot); else by looking for a
  // process whose command line names this directory's spec.json (the lab was killed between the two).
  bool adopt(const std::string& run, const Path& run_directory) override;
  std::vector<RunnerExit> poll() override;
  // SIGKILL goes to the child's whole session: a trainer may have children of its own.
  void signal(const std::string& run, int signal_number) override;

 private:
  std::vector<std::string> command_;
  std::map<std::string, ProcessIdentity> children_;
};

}  // namespace flywheel::scheduler
