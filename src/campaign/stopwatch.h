// The campaign's clock: seconds over all processes that worked on it, time between restarts excluded.
#pragma once

#include "base/clock.h"
#include "base/file_system.h"

namespace flywheel::campaign {

// The elapsed time is kept in a small file, so that a restart does not reset the budget. Not thread safe.
class Stopwatch {
 public:
  // `started` is the clock's reading when this process began to work on the campaign.
  Stopwatch(Path file, Clock& clock, double started);
  double seconds() const;
  // The clock's reading at which `campaign_seconds` will have passed.
  double clock_at(double campaign_seconds) const;
  // These seconds do not count.
  void exclude(double seconds) { before_ -= seconds; }
  // Writes the file when a second has passed since the last time, or at once when `now`. A failed write is ignored.
  void save(bool now = false);

 private:
  Path file_;
  Clock& clock_;
  double started_, before_ = 0, saved_ = -1;
};

}  // namespace flywheel::campaign
