// What is believed of every ladder before its runs are seen.
#pragma once

namespace flywheel::scaling {

// The priors, the same for every ladder; estimated on public ladders (docs/notes/forecast-backtests.md).
// Logs are natural; sd of a log is relative.
struct Beliefs {
  double alpha = 0.3, alpha_log_sd = 0.3;  // effective exponents, kappa times those within
  double beta = 0.3, beta_log_sd = 0.4;
  double floor = 0.53, floor_log_sd = 0.3;  // E over the lowest loss seen
  double kappa = 0.55, kappa_log_sd = 0.6;
  double misfit_sd = 0.04, misfit_log_sd = 1;     // of log loss
  double reach_compute = 5.5, reach_ratio = 2.5;  // length scales of the misfit in ln C and in half ln D/N
  double rough_share = 0.01;                      // of the misfit's variance that runs of one compute level share
  double noise_sd = 0.003, noise_runs = 10;       // of log loss, and how many runs this counts as
  double tail = 3;                                // degrees of freedom of the noise
  double reach_shape = 2;                         // length scale of what the shape adds, in ln(width / depth)
  // Factors on the standard deviation up to 3 times beyond the highest compute and from 100 times on; in between it
  // changes as a power of the distance.
  double near_width = 0.9, far_width = 0.65;
  // Errors of backtests, in units of their own intervals, over those of the forecast from all runs.
  double part_error = 1.2;
  double focus = 0.45;           // noise variance falls as (C / highest C)^-focus
  double frontier_width = 0.12;  // and doubles where the loss exceeds the best nearby by this fraction
};

}  // namespace flywheel::scaling
