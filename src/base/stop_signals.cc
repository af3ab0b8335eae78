#include "base/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace flywheel {
namespace {

volatile sig_atomic_t caught = 0, interrupted = 0;
std::atomic<int64_t> wishes{0};
static_assert(std::atomic<int64_t>::is_always_lock_free, "a signal handler counts it");

void on_stop(int number) {
  if (number == SIGINT && interrupted) ::_exit(static_cast<int>(ErrorCode::kInterrupted));
  if (number == SIGINT) interrupted = 1;
  caught = number;
}

void on_wish(int) {
  wishes.fetch_add(1, std::memory_order_relaxed);
}

void catch_unless_ignored(int number, void (*handler)(int)) {
  struct sigaction before {};
  ::sigaction(number, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void catch_stop_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU}) catch_unless_ignored(number, on_stop);
  catch_unless_ignored(SIGUSR1, on_wish);
}

int stop_signal() {
  return caught;
}

int64_t checkpoint_requests() {
  return wishes.load(std::memory_order_relaxed);
}

ErrorCode stop_code(int signal) {
  return signal == SIGINT ? ErrorCode::kInterrupted : ErrorCode::kStoppedEarly;
}

}  // namespace flywheel
