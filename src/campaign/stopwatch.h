// The campaign's clock: seconds over all processes that worked on it, time between restarts excluded.
#pragma once

#include "base/clock.h"
#include "base/file_system.h"

namespace flywheel::campaign {

// Keeps what has passed in a small file, so that a killed campaign does not get its time back. Not thread safe.
class Stopwatch {
 public:
  // `started` is the clock's reading when this process began to work on the campaign.
  Stopwatch(Path file, Clock& clock, double started);
  double seconds() const;
  // The clock's reading at which `campaign_seconds` will have passed.
  double clock_at(double campaign_seconds) const;
  // Writes the file when a second has passed since the last time (or now). A full disk is no reason to stop.
  void save(bool now = false);

 private:
  Path file_;
  Clock& clock_;
  double started_, before_ = 0, saved_ = -1;
};

}  // namespace flywheel::campaign
