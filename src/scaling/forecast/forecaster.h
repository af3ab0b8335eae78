// Forecasts of the loss at any (N, D) by a law with a model of its misfit. Residuals of a law on a real ladder are
// correlated between neighbouring runs, so that a law alone is biased in extrapolation and the bootstrap of its
// residuals gives intervals that are far too narrow. For every run
//   ln L = f(N, D) + g(N, D) + e
//   f  a law: ln(E + (A / N^alpha + B / D^beta)^kappa)
//   g  what the law misses: a Gaussian process, smooth in (ln C, ln D/N) (Kennedy and O'Hagan 2001, section 4)
//   e  noise with heavy tails (Student's t); larger for runs far from the frontier and far below the highest compute
// The size of the misfit is not known: five sizes from 1.25% to 20% are weighed by their evidence (Laplace's
// approximation). The priors of exponents, E, kappa and the misfit's length scales are the same for every ladder
// and were estimated on public ones (docs/notes/forecast-backtests.md).
// Where shapes of models are known and differ, g has two more parts, smooth functions of width / depth and of depth;
// models with either, both and neither are weighed too. What names a size alone, the best one above all, is then of
// models shaped as those of the frontier are.
// Deterministic; const functions may be called from several threads.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scaling/forecast/beliefs.h"
#include "scaling/forecast/inflation.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

// One of the weighted models.
struct MisfitModel {
  double weight = 0;                             // share of the evidence; all sum to 1
  double misfit_sd = 0;                          // of g, in log loss
  double noise_sd = 0;                           // of e for runs at the frontier's top, in log loss
  double E = 0, alpha = 0, beta = 0, kappa = 0;  // alpha, beta: effective exponents, kappa times those within
};

class Forecaster {
 public:
  // Any number of points from 1; with few runs the priors dominate and the intervals widen. More than kMostRuns runs
  // are merged with their neighbours first. Throws kBadInput as fit().
  explicit Forecaster(std::span<const Point> points, const Beliefs& beliefs = {});
  ~Forecaster();
  Forecaster(Forecaster&&) noexcept;
  Forecaster& operator=(Forecaster&&) noexcept;

  // The loss of a run of this size, with its 90% prediction interval. `aspect` is the model's width over its depth, 0
  // where it is not known: then the interval allows for any shape that the runs fitted had.
  Optimum predict(double N, double D, double aspect = 0) const;
  // Width over depth of models of this size along the frontier of the runs, which compute_optimal, loss, surfaces and
  // covariance are of; 0 where shapes are known of less than half of the runs, or do not vary.
  double typical_aspect(double N) const;
  // The size that minimises the forecast at `flops`; N_low and N_high hold 90% of optimal_sizes(). FLOPs per token from
  // flops_rule(), or the caller's.
  Optimum compute_optimal(double flops) const;
  Optimum compute_optimal(double flops, const std::function<double(double N)>& flops_per_token) const;
  // The forecast loss alone, for searches.
  double loss(double N, double D) const;
  // Log losses of whole surfaces drawn from the posterior of law and misfit, without noise: (draws, sites).
  std::vector<std::vector<double>> surfaces(std::span<const std::pair<double, double>> sizes_and_tokens) const;
  // ln N of the lowest loss at each of `flops` on such surfaces: (flops, draws). Sizes of one draw are of one surface.
  std::vector<std::vector<double>> optimal_sizes(std::span<const double> flops,
                                                 const std::function<double(double N)>& flops_per_token) const;

  // Posterior covariance of the log losses at these sizes, noise left out: what is not known of the law and its misfit,
  // within the models and between them. Row-major, (sites, sites).
  std::vector<double> covariance(std::span<const std::pair<double, double>> sizes_and_tokens) const;
  // Standard deviation of log loss between what a run of this size says and law plus misfit: larger below the top and
  // off the frontier.
  double noise_sd(double N, double D) const;

  // Standard deviations of log loss are multiplied by this; set from the ladder's own backtest.
  ErrorInflation error_inflation;

  double highest_flops() const;
  const FlopsRule& flops_rule() const;
  const std::vector<MisfitModel>& models() const;

 private:
  struct State;
  Optimum predict_site(double ln_n, double ln_d, double ln_aspect) const;
  std::unique_ptr<State> state_;
};

inline constexpr size_t kMostRuns = 256;

}  // namespace flywheel::scaling
