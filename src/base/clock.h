// Time as a dependency, so that schedulers and campaigns are tested without waiting.
#pragma once

#include <string>

namespace flywheel {

// Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic seconds since an arbitrary origin.
  virtual double now_seconds() = 0;
  virtual void sleep_seconds(double seconds) = 0;
};

// The machine's clock.
Clock& real_clock();

// "2026-11-23T22:56:01Z", wall clock.
std::string utc_timestamp();

// CPU seconds used by this process so far (user + system).
double process_cpu_seconds();

}  // namespace flywheel
