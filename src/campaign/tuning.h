// Learning-rate tuning on a rung, and the check that the choice transfers to the next rung. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace flywheel::campaign {

// One run of a sweep. Without a loss: it diverged, which is evidence against its rate.
struct SweepPoint {
  double multiplier = 1;  // of the recipe's learning rates
  std::optional<double> bits_per_byte;
};

struct SweepChoice {
  double multiplier = 1;  // where the fitted parabola in log multiplier has its minimum, within the sampled range
  double best_sampled = 1;
  bool at_low_edge = false, at_high_edge = false;  // the minimum lies at an edge: the sweep is to be extended there
};
// Throws kFailed when every run failed.
SweepChoice choose_multiplier(std::vector<SweepPoint> points);

struct TransferVerdict {
  bool holds = true;
  double multiplier = 1;  // to use on the whole ladder
  std::string words;
};
// `chosen` was best on the lower rung; `upper` are runs at chosen * {1/2, 1, 2} one rung up. Holds when `chosen` is
// within two noise-floor deviations (of one difference) of the best there.
TransferVerdict check_transfer(double chosen, const std::vector<SweepPoint>& upper, double noise_sd);

}  // namespace flywheel::campaign
