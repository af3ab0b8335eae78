// Scaling laws: runs as points, the fit of a form to them, what the fitted law predicts. Pure functions of points;
// deterministic for a seed.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace flywheel::scaling {

struct Point {
  double N = 0;       // parameters
  double D = 0;       // training tokens
  double L = 0;       // loss, any unit (nats per token, bits per byte)
  double C = 0;       // training FLOPs; 0: 6 N D
  double U = 0;       // unique training tokens; 0, or above D: all of D
  double count = 1;   // runs that this one stands for: its weight in a fit
  double aspect = 0;  // width of the model over its depth; 0: not known
};
double flops_of(const Point& point);  // C, or 6 N D

// The defaults are for forecasting. published_options() is the plain method of Hoffmann et al. 2022.
struct FitOptions {
  double huber_delta = 1e-3;  // on log residuals, summed (Hoffmann et al. 2022, appendix D.3)
  int bootstrap = 400;
  uint64_t seed = 1;
  int threads = 1;  // the numbers do not depend on it
  std::string form = "chinchilla";
  // Chosen on public ladders (docs/notes/forecast-backtests.md): the low and the far-off runs inform, the top frontier
  // decides.
  double focus = 1;              // a run's weight is (C / highest C)^focus ..
  double frontier_width = 0.05;  // .. halved where its loss exceeds the best of its level by this fraction; 0: not
  double prior = 2;              // strength of the form's prior on its exponents; 0: none
  // A form of compute alone is fitted to the best run of each compute level; false: to all runs.
  bool compute_sees_frontier = true;
};
FitOptions published_options();

// A fitted form. Parameters by name, so that other forms fit the same interface.
struct Law {
  std::string form;
  std::map<std::string, double> parameters;  // chinchilla: A, B, E, alpha, beta
  double objective = 0;
  int points = 0;
  double residual_sd = 0;  // robust, of log loss
  // flops 0: 6 N D. unique_tokens 0: all of D. Forms look at what they know of these.
  double loss(double N, double D, double flops = 0, double unique_tokens = 0) const;
};

// FLOPs per token as a function of size. From runs that carry their own C (attention counted, say): 6N plus an excess
// that falls as a power of N when all ratios C/(ND) lie above 6, else a power of N kept within the ratios seen.
struct FlopsRule {
  enum class Kind { kSixND, kExcess, kPower } kind = Kind::kSixND;
  double intercept = 0, slope = 0;  // of ln(ratio - 6) or ln(ratio) against ln N
  double lowest = 6, highest = 6;   // ratios seen
  double per_token(double N) const;
};
FlopsRule flops_rule(std::span<const Point> points);

// Throws kBadInput for no points and for values that are not finite or not above 0 (C: below 0), naming the run.
void check_points(std::span<const Point> points);

struct Fit {
  Law law;
  std::vector<Law> resamples;  // bootstrap
  std::map<std::string, std::pair<double, double>> interval95;
  bool identified = true;  // false: the data cannot tell the exponents apart
  // Parameters whose numbers the runs do not identify (identified.h), with the reason; interval95 leaves them out.
  std::map<std::string, std::string> not_identified;
  std::vector<std::string> warnings;  // what is missing and what would cure it
  int starts = 0;                     // that the search compared
  double highest_flops = 0;           // of the runs fitted: where extrapolation starts
  FlopsRule flops_rule;
};

// Throws kBadInput for no points, non-positive or non-finite values, an unknown form. With too few runs to tell the
// parameters apart it still returns numbers, held by the prior, with identified = false and warnings.
Fit fit(std::span<const Point> points, const FitOptions& options);

struct Optimum {
  double N = 0, D = 0, loss = 0, low = 0, high = 0;  // 90% prediction interval
  double N_low = 0, N_high = 0;                      // 90% of the best sizes, where the size was looked for
};

// Compute levels, lowest first: indices of the points of each. Runs within 20% in C share a level; where C is
// continuous, a level spans at most a factor of 2.
std::vector<std::vector<size_t>> compute_levels(std::span<const Point> points);

}  // namespace flywheel::scaling
