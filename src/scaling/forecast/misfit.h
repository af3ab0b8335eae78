// A law plus a Gaussian process for what it misses, fitted at one size of the misfit. Internal to forecaster.cc.
#pragma once

#include <Eigen/Core>
#include <vector>

namespace flywheel::scaling {

// The priors, the same for every ladder; estimated on public ladders (docs/forecast-backtests.md).
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
  double focus = 0.45;                            // noise variance falls as (C / highest C)^-focus
  double frontier_width = 0.12;                   // and doubles where the loss exceeds the best nearby by this fraction
};
inline constexpr double kMisfitSds[] = {0.0125, 0.025, 0.05, 0.1, 0.2};

// Runs in logs, merged where needed; `repeats` counts the runs behind each.
struct Runs {
  std::vector<double> ln_n, ln_d, ln_c, ln_l, repeats;
  double centre_n = 0, centre_d = 0;
  Eigen::Index size() const { return static_cast<Eigen::Index>(ln_l.size()); }
};

inline constexpr int kLawParameters = 6;  // ln of both terms at the centre, ln E, ln alpha, ln beta, ln kappa
using LawVector = Eigen::Matrix<double, kLawParameters, 1>;

// ln(E + (A / N^alpha + B / D^beta)^kappa), x measured from the centre; gradient may be null.
double law_value(const LawVector& theta, double x_n, double x_d, double* gradient);
// Correlation of the misfit between two runs: Matern with smoothness 5/2, and a small part with smoothness 1/2 along
// compute, for what tuning each level anew adds.
double misfit_correlation(const Beliefs& beliefs, double ln_n1, double ln_d1, double ln_n2, double ln_d2);

struct MisfitFit {
  LawVector theta;
  double misfit_sd = 0;
  double noise_sd = 0;  // of a run at the frontier's top, were the noise the same everywhere
  double log_evidence = 0;
  Eigen::VectorXd alpha;                                            // covariance^-1 residual
  Eigen::MatrixXd factor;                                           // lower Cholesky factor of the covariance
  Eigen::MatrixXd whitened;                                         // factor^-1 Jacobian
  Eigen::Matrix<double, kLawParameters, kLawParameters> posterior;  // covariance of theta
};
// `start` is moved to the optimum, for the next size of misfit to begin from.
MisfitFit fit_misfit(const Runs& runs, const Eigen::MatrixXd& correlation, const Beliefs& beliefs, double misfit_sd,
                     LawVector& start);
// Prior means of theta and their standard deviations.
void law_prior(const Runs& runs, const Beliefs& beliefs, LawVector& mean, LawVector& sd);

}  // namespace flywheel::scaling
