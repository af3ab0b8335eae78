#include "base/stop_signals.h"

#include <signal.h>
#include <unistd.h>

namespace flywheel {
namespace {

volatile sig_atomic_t caught = 0;

void on_signal(int number) {
  if (caught == SIGINT && number == SIGINT) ::_exit(static_cast<int>(ErrorCode::kInterrupted));
  caught = number;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
}

int stop_signal() {
  return caught;
}

ErrorCode stop_code(int signal) {
  return signal == SIGINT ? ErrorCode::kInterrupted : ErrorCode::kStoppedEarly;
}

}  // namespace flywheel
