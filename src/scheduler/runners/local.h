// Runs as child processes of this machine. They outlive a killed lab.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/process_watch.h"
#include "scheduler/runner.h"
#include "scheduler/runners/core_slots.h"

namespace flywheel::scheduler {

class LocalRunner : public Runner {
 public:
  // `cpus`: cores to share among the runs, evenly by slots, one slot for each core of the capacity; empty: runs go
  // where the lab may. Throws kBadInput for less than one core.
  explicit LocalRunner(const Resources& capacity, std::vector<int> cpus = {});

  Resources capacity() override { return capacity_; }
  // Running runs keep their cores; new runs are placed by the new number of slots.
  void set_capacity(const Resources& capacity);

  void start(const Launch& launch) override;
  // By the process named in RUN/process.json, if it is still that one (pid, start time and boot) and its command line
  // names this directory: whoever may write the file must not choose whom we kill. Else by looking for a process whose
  // command line names this directory's spec.json (the lab was killed between the two).
  bool adopt(const std::string& run, const Path& directory, const Resources& needs) override;
  // SIGTERM, and SIGKILL by the first wait() after the grace.
  void stop(const std::string& run, double grace_seconds) override;
  // SIGKILL for the whole session of the run: a trainer may have children of its own.
  void kill(const std::string& run) override;
  // Passes wishes for a checkpoint (base/stop_signals.h) on to those that have a handler for SIGUSR1.
  std::vector<RunnerEvent> wait(double most_seconds) override;

 private:
  struct Child {
    ProcessIdentity process;
    std::vector<int> slots;
  };
  void add(const std::string& run, Child child);
  void pass_wishes_on();
  std::string forget(pid_t pid);  // the run that it was; empty: none of ours any more

  Resources capacity_;
  bool capacity_changed_ = false;
  int64_t wishes_ = 0;  // that were passed on
  std::map<std::string, Child> children_;
  std::map<pid_t, std::string> run_of_;
  std::map<std::string, double> kill_at_seconds_;  // of the real clock, for those that were asked to stop
  CoreSlots slots_;
  ProcessWatch watch_;
};

}  // namespace flywheel::scheduler
