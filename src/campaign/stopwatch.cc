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
  // Written in place: the line has one length, so a reader never sees a shorter one.
  std::fstream out(file_, std::ios::in | std::ios::out);
  if (!out) out.open(file_, std::ios::out);
  char line[32];
  std::snprintf(line, sizeof line, "%020.3f\n", seconds);
  out << line;
}

}  // namespace flywheel::campaign
