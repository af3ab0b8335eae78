// The compute-optimal size as a function of compute, for whoever prints or plans one: fit, plan, campaign, report.
// Why one place: sizes from one model and losses from another contradict each other, and a ladder that does not bracket
// its optimum has none to print.
//
// The size is the one that minimises the forecast (forecast/forecaster.h). Its interval is 90% of the optima of
// surfaces drawn from the forecaster's posterior, widened to hold what other approaches (approaches.h) say of the same
// compute. Where the runs do not identify it there is no size, and forecasts go along the ladder's own path: a power
// law of size in compute through the best run of each compute level. Units: N parameters, D tokens, FLOPs. Pure and
// thread safe; deterministic.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "scaling/allocation/allocation.h"
#include "scaling/allocation/approaches.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::scaling {

struct WantedRun {
  double N = 0, D = 0, flops = 0;
};

struct OptimumRule {
  bool identified = false;
  std::string why;    // what it rests on; where it is not identified, what the runs lack
  std::string model;  // that gives size and loss, in words
  // N_opt ~ C^a over the upper three decades of the runs' compute, 95%; meaningless where it is not identified. Beyond
  // the runs the size may grow otherwise: at() has the interval of that.
  Range a;
  std::vector<std::string> warnings;        // approaches that disagree
  std::vector<WantedRun> runs_to_identify;  // empty where it is identified
  std::vector<Approach> approaches;         // beside the model that forecasts, all with `missing` where not identified
  double lowest_flops = 0, highest_flops = 0;
  // Forecasts are carried to here: twice the decades that the runs span, at most kMostDecades.
  double reach_flops = 0;
  double path_intercept = 0, path_slope = 0.5;  // ladder's own path: ln N = intercept + slope ln C

  double ladder_size(double flops) const;  // of the path
  bool reaches(double flops) const;        // false: these runs carry no forecast of that compute
  // The forecast at `flops`, at the optimum where it is identified and along the ladder's path where not. N_low and
  // N_high: 90% of the optimal size; N where it is not identified. FLOPs per token: the forecaster's rule, or the
  // caller's. `forecaster` is the one of optimum_of(), or one whose intervals were inflated since.
  Optimum at(const Forecaster& forecaster, double flops) const;
  Optimum at(const Forecaster& forecaster, double flops, const FlopsPerToken& flops_per_token) const;
};
inline constexpr double kMostDecades = 4;

// `points`: those that the forecaster was made of. `parametric`: a fit with resamples whose best sizes belong into the
// interval; null: none. Throws kBadInput as check_points().
OptimumRule optimum_of(std::span<const Point> points, const Forecaster& forecaster, const Fit* parametric = nullptr);

}  // namespace flywheel::scaling
