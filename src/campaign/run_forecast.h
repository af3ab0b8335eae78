// Forecasts of ladder runs that are still to come, and of the best of them. Pure, deterministic.
//
// Log losses of several runs are jointly normal: what is not known of the law and its misfit moves them together
// (scaling/forecast/forecaster.h), noise between seeds moves each alone. The least loss of several runs lies below the
// forecast of each, so it has a distribution of its own, by draws: a minimum over runs is not scored against the
// interval of one.
//
// The noise of a run is the forecaster's, scaled to what replicates on this ladder show. The rest is scaled to what
// rolling-origin backtests of this ladder show one level ahead, up or down, by maximum a posteriori.
//
// Repeated text is worth something between new text and nothing (Muennighoff et al. 2023 for large models; with n-gram
// tables, which learn text by heart, often nothing): the forecast is half way between, and each end a standard
// deviation away, for all runs alike. What the best run of the rung below repeated is in its loss already.
#pragma once

#include <span>
#include <vector>

#include "campaign/ladder_points.h"

namespace flywheel::campaign {

struct RunSite {
  double N = 0, D = 0;
  bool branched = false;
  double unique = 0;  // tokens of the training text; 0, or above D: no text is repeated
};

struct RunForecasts {
  std::vector<double> ln_loss;     // means
  std::vector<double> covariance;  // (runs, runs) row-major, noise included
  double spread_scale = 1;         // of the spread but noise, over the forecaster's own
  double noise_scale = 1;          // of the noise, over the forecaster's own
};
// REQUIRES points, and sites above them in compute.
RunForecasts forecast_runs(std::span<const LadderPoint> below, std::span<const RunSite> sites);

// The distribution of the least loss.
class LeastLoss {
 public:
  // Row-major covariance; REQUIRES at least one run.
  LeastLoss(std::span<const double> ln_loss, std::span<const double> covariance);
  double quantile(double p) const;  // p in (0, 1)
  // Probability of a lower loss: the probability integral transform of a measured one.
  double probability_below(double loss) const;

 private:
  std::vector<double> draws_;  // sorted log losses
};

// 100 times the interval score of Gneiting and Raftery 2007 of log losses at 90%: the width, and 20 times the miss.
double interval_score(double low, double high, double measured);

}  // namespace flywheel::campaign
