#include "cli/stop_signals.h"

#include <signal.h>
#include <unistd.h>

namespace flywheel::cli {
namespace {

volatile sig_atomic_t caught = 0;

void on_signal(int number) {
  if (caught == SIGINT && number == SIGINT) ::_exit(130);
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
}

int stop_signal() {
  return caught;
}

}  // namespace flywheel::cli
