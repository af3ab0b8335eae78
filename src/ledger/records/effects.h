// Numbers with their uncertainty, as records and the rooms above hold them.
#pragma once

#include <optional>

#include "base/cluster_error.h"

namespace flywheel::ledger {

// Not finite: not known. In JSON such an end is null; read back, a missing value is NaN and a missing end infinite.
struct Interval {
  double value = 0, low = 0, high = 0;
};

struct Slope {
  double value = 0, sd = 0;  // d ln L / d ln C of the compute-optimal loss, below 0
};

// What a run costs, or the mean of some. NaN: not known.
struct RunCosts {
  double model_flops = 0, optimizer_flops = 0, seconds = 0;
  double parameters = 0;         // all, look-up tables included
  double matrix_parameters = 0;  // the N of laws
  double artifact_bytes = 0;     // of the trained weights' file
  double lookup_bytes = 0;       // that look-up tables move
};

// Of the two sides of a comparison on one rung; in JSON each cost has {"base":..,"candidate":..}.
struct ComparedCosts {
  double flops = 0;  // of the rung: what model and optimizer together may take
  RunCosts base{}, candidate{};
};

// A change on one rung.
struct RungEffect {
  double flops = 0;
  int pairs = 0;
  Interval difference{};                   // of bits per byte, candidate minus base: over seeds and documents
  Interval multiplier{};                   // of compute, the optimizer's included
  std::optional<ClusterError> sampling{};  // of the difference, over documents; empty: not in the intervals
};

}  // namespace flywheel::ledger
