#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/format.h"
#include "base/host/visible_text.h"
#include "base/log.h"

namespace flywheel::cli {
namespace {

constexpr double kTerminalSeconds = 0.2, kPlainSeconds = 10;

int terminal_columns() {
  winsize size{};
  return ::ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

}  // namespace

std::string progress_line(const scheduler::Progress& progress, double seconds_left, double per_nat) {
  std::string line = seconds_left < 1e17 ? format_seconds(seconds_left) + " left" : std::string("running");
  line += fmt::format(" | {} done, {} waiting", progress.done, progress.waiting);
  if (progress.failed > 0) line += fmt::format(", {} failed", progress.failed);
  for (const auto& run : progress.active) {
    line += fmt::format(" | {} {:.0f}%", run.run, 100 * run.fraction);
    if (run.rung_flops > 0) line += fmt::format(" of {}", format_flops(run.rung_flops));
    if (run.train_loss > 0 && per_nat > 0)
      line += fmt::format(", training at {:.3f} bits per byte", per_nat * run.train_loss);
  }
  return line;
}

ProgressPrinter::ProgressPrinter() : terminal_(::isatty(2) != 0) {}
ProgressPrinter::~ProgressPrinter() {
  clear();
}

void ProgressPrinter::clear() {
  if (terminal_ && shown_) write_terminal("\r\x1b[K");
  shown_ = false;
}

void ProgressPrinter::say(const std::string& line) {
  clear();
  log_info(line);
}

void ProgressPrinter::show(const scheduler::Progress& progress, double seconds_left, double per_nat) {
  const double now = real_clock().now_seconds();
  if (now < last_ + (terminal_ ? kTerminalSeconds : kPlainSeconds)) return;
  last_ = now;
  std::string line = progress_line(progress, seconds_left, per_nat);
  if (!terminal_) {
    log_info(line);
    return;
  }
  const auto columns = static_cast<size_t>(terminal_columns() - 1);
  if (line.size() > columns) line.resize(columns);
  write_terminal(fmt::format("\r\x1b[K{}", visible(line)));
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace flywheel::cli
