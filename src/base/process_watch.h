// Waits for the end of processes, children of ours or not: by process descriptors where the kernel has them
// (Linux 5.3), else by looking every few milliseconds.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

#include "base/subprocess.h"

namespace flywheel {

// Not thread safe.
class ProcessWatch {
 public:
  ProcessWatch();  // throws kFailed when the system has no descriptors left
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

  // A process that has ended already is reported by the next wait().
  void add(const ProcessIdentity& process);
  // Processes that ended, each once; waits for the first, at most so long. Returns early, maybe with none, when a
  // signal arrives. Children are not reaped.
  std::vector<pid_t> wait(double most_seconds);

 private:
  void take_ended(std::vector<pid_t>& ended);

  int epoll_ = -1;
  std::map<pid_t, int> descriptors_;
  std::vector<ProcessIdentity> looked_at_;  // those without a descriptor
};

}  // namespace flywheel
