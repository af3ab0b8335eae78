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

// Whether a loss says that something was learnt of context: it is well below that of a model without context (empty:
// not known, and any loss says so). Of runs that are not, the one with the lowest loss is the one that learnt the
// tokens' frequencies fastest, which is no reason to prefer its learning rate.
bool has_learnt(double bits_per_byte, std::optional<double> context_free);

struct SweepChoice {
  double multiplier = 1;  // where the fitted parabola in log multiplier has its minimum, within the sampled range
  double best_sampled = 1;
  bool at_low_edge = false, at_high_edge = false;  // the minimum lies at an edge: the sweep is to be extended there
  bool learnt = true;                              // has_learnt() of the best one; otherwise the rest says nothing
};
// Throws kFailed when every run failed.
SweepChoice choose_multiplier(std::vector<SweepPoint> points, std::optional<double> context_free = {});

struct TransferVerdict {
  bool holds = true;
  double multiplier = 1;  // to use on the whole ladder
  std::string words;
};
// `chosen` was best on the lower rung; `upper` are runs at chosen * {1/2, 1, 2} one rung up. Holds when `chosen` is
// within two noise-floor deviations (of one difference) of the best there.
TransferVerdict check_transfer(double chosen, const std::vector<SweepPoint>& upper, double noise_sd);

}  // namespace flywheel::campaign
