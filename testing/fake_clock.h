// A clock that advances only through sleep calls: hours of a campaign in milliseconds of test.
#pragma once

#include "base/clock.h"

namespace flywheel::testing {

class FakeClock : public Clock {
 public:
  double now_seconds() override { return now_; }
  void sleep_seconds(double seconds) override { now_ += seconds; }

 private:
  double now_ = 1000;  // no origin is special
};

}  // namespace flywheel::testing
