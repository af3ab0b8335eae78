#include "campaign/stopwatch.h"

#include <cmath>
#include <fstream>
#include <string>

namespace flywheel::campaign {

Stopwatch::Stopwatch(Path file, Clock& clock, double started)
    : file_(std::move(file)), clock_(clock), started_(started) {
  std::ifstream in(file_);
  double seconds = 0;
  if (in >> seconds && std::isfinite(seconds) && seconds >= 0) before_ = seconds;
}

double Stopwatch::seconds() const {
  return before_ + clock_.now_seconds() - started_;
}

double Stopwatch::clock_at(double campaign_seconds) const {
  return started_ + campaign_seconds - before_;
}

void Stopwatch::save(bool now) {
  const double seconds = this->seconds();
  if (!now && seconds < saved_ + 1) return;
  saved_ = seconds;
  char line[32];
  std::snprintf(line, sizeof line, "%020.3f\n", seconds);
  write_in_place(file_, line);
}

}  // namespace flywheel::campaign
