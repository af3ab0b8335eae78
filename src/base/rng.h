// Counter-based random numbers: every draw is a pure function of (key, counter), so a resumed run sees the same draws.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "base/hash.h"

namespace flywheel {

// A stream of draws. Copyable, cheap; two streams with the same (seed, stream) give the same numbers.
__extension__ typedef unsigned __int128 Wide;

class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) : key_(mix64(mix64(seed) ^ (stream * 0xd1342543de82ef95ULL + 1))) {}

  uint64_t next() { return mix64(key_ + 0x9e3779b97f4a7c15ULL * counter_++); }
  // Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // Uniform in [0, n), n > 0.
  uint64_t below(uint64_t n) { return static_cast<uint64_t>((static_cast<Wide>(next()) * n) >> 64); }
  // Standard normal (Box-Muller; both halves used).
  double normal() {
    if (have_spare_) {
      have_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    const double angle = 2.0 * std::numbers::pi * uniform();
    spare_ = radius * std::sin(angle);
    have_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
  double spare_ = 0;
  bool have_spare_ = false;
};

}  // namespace flywheel
