// Numbers with their uncertainty, as records and the rooms above hold them.
#pragma once

#include <optional>

namespace flywheel::ledger {

// Not finite: not known. In JSON such an end is null; read back, a missing value is NaN and a missing end infinite.
struct Interval {
  double value = 0, low = 0, high = 0;
};

struct Slope {
  double value = 0, sd = 0;  // d ln L / d ln C of the compute-optimal loss, below 0
};

// A change on one rung.
struct RungEffect {
  double flops = 0;
  int pairs = 0;
  Interval difference{};                // of bits per byte, candidate minus base: over seeds and documents
  Interval multiplier{};                // of compute
  std::optional<double> sampling_sd{};  // of the difference, over documents; empty: not in the intervals
};

}  // namespace flywheel::ledger
