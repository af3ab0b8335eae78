// A law plus a Gaussian process for what it misses, fitted at one size of the misfit. Internal to forecaster.cc.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <vector>

#include "scaling/forecast/beliefs.h"

namespace flywheel::scaling {

inline constexpr double kMisfitSds[] = {0.0125, 0.025, 0.05, 0.1, 0.2};

// Where a run stands, in logs; ln_aspect is NAN where the shape is not known.
struct Site {
  double ln_n = 0, ln_d = 0, ln_aspect = NAN;
};

// Runs in logs, merged where needed; `repeats` counts the runs behind each.
struct Runs {
  std::vector<double> ln_n, ln_d, ln_c, ln_l, ln_aspect, repeats;
  Site site(size_t i) const { return {ln_n[i], ln_d[i], ln_aspect[i]}; }
  double centre_n = 0, centre_d = 0;
  Eigen::Index size() const { return static_cast<Eigen::Index>(ln_l.size()); }
};

inline constexpr int kLawParameters = 6;  // ln of both terms at the centre, ln E, ln alpha, ln beta, ln kappa
using LawVector = Eigen::Matrix<double, kLawParameters, 1>;

// ln(E + (A / N^alpha + B / D^beta)^kappa), x measured from the centre; gradient may be null.
double law_value(const LawVector& theta, double x_n, double x_d, double* gradient);
// Correlation of the misfit between two runs: Matern with smoothness 5/2, and a small part with smoothness 1/2 along
// compute, for what tuning each level anew adds.
double misfit_correlation(const Beliefs& beliefs, const Site& a, const Site& b);
// Correlations of what shapes add, as a function of width / depth and of depth, which is seen from that ratio and N: N
// goes as depth times width squared. 0 where a shape is not known.
double ratio_correlation(const Beliefs& beliefs, const Site& a, const Site& b);
double depth_correlation(const Beliefs& beliefs, const Site& a, const Site& b);

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
// `of_shape` is the covariance of what shapes add. `start` is moved to the optimum, for the next size of misfit to
// begin from.
MisfitFit fit_misfit(const Runs& runs, const Eigen::MatrixXd& correlation, const Eigen::MatrixXd& of_shape,
                     const Beliefs& beliefs, double misfit_sd, LawVector& start);
// Prior means of theta and their standard deviations.
void law_prior(const Runs& runs, const Beliefs& beliefs, LawVector& mean, LawVector& sd);

}  // namespace flywheel::scaling
