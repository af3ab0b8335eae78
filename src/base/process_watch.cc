#include "base/process_watch.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"

namespace flywheel {
namespace {

constexpr double kLookSeconds = 0.02;

// Readable once the process has ended; negative where the kernel has no such descriptors.
int open_process(pid_t pid) {
#ifdef SYS_pidfd_open
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
#else
  return -1;
#endif
}

bool listen(int epoll, int descriptor, pid_t pid) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(pid);
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

ProcessWatch::ProcessWatch() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw_failed("cannot wait for processes: {}", errno_text(errno));
}

ProcessWatch::~ProcessWatch() {
  for (const auto& [pid, descriptor] : descriptors_) ::close(descriptor);
  ::close(epoll_);
}

void ProcessWatch::add(const ProcessIdentity& process) {
  const int descriptor = open_process(process.pid);
  // Its pid may be another's by now: only a process that was alive after its descriptor was opened is the right one.
  if (descriptor >= 0 && is_alive(process) && listen(epoll_, descriptor, process.pid)) {
    descriptors_[process.pid] = descriptor;
    return;
  }
  if (descriptor >= 0) ::close(descriptor);
  looked_at_.push_back(process);
}

void ProcessWatch::take_ended(std::vector<pid_t>& ended) {
  std::erase_if(looked_at_, [&](const ProcessIdentity& process) {
    if (is_alive(process)) return false;
    ended.push_back(process.pid);
    return true;
  });
}

std::vector<pid_t> ProcessWatch::wait(double most_seconds) {
  std::vector<pid_t> ended;
  take_ended(ended);
  const double until = real_clock().now_seconds() + most_seconds;
  while (true) {
    double left = ended.empty() ? std::max(0.0, until - real_clock().now_seconds()) : 0;
    if (!looked_at_.empty()) left = std::min(left, kLookSeconds);
    std::array<epoll_event, 64> events;
    const int milliseconds = static_cast<int>(std::ceil(std::min(left, 1e6) * 1000));
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
    if (n < 0 && errno != EINTR) throw_failed("cannot wait for processes: {}", errno_text(errno));
    for (int i = 0; i < n; ++i) {
      const auto pid = static_cast<pid_t>(events[static_cast<size_t>(i)].data.u64);
      ::close(descriptors_.at(pid));
      descriptors_.erase(pid);
      ended.push_back(pid);
    }
    take_ended(ended);
    if (n != 0 || !ended.empty() || real_clock().now_seconds() >= until) return ended;
  }
}

}  // namespace flywheel
