// The objective of a curve fit and its minimiser. Why apart from the fit: starts, fit and tests share it.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "scaling/curves/curve_law.h"

namespace flywheel::scaling {

// A normal prior on one internal parameter.
struct CurvePrior {
  size_t parameter;
  double mean, sd;
};

// Weighted Huber loss of log residuals plus prior_weight times half the squared standard scores of the priors.
// Thread safe once filled.
struct CurveProblem {
  CurveLayout layout;
  std::vector<CurvePoint> points;
  std::vector<CurvePrior> priors;
  double huber = 1e-3, prior_weight = 1;

  // Where asked for (both or none), the normal equations of the reweighted squares, upper triangle, and the gradient.
  // Infinite where the law is not positive.
  double value(const std::vector<double>& theta, Eigen::MatrixXd* gram, Eigen::VectorXd* gradient) const;
  // Levenberg-Marquardt from theta to a minimum near it; returns the objective there.
  double polish(std::vector<double>& theta) const;
};

// Weak priors: typical values of the fits in Luo et al. 2025 (published parameters, in relative rates) with wide
// standard deviations. They decide only what the curves leave open. `lowest`: the lowest loss.
std::vector<CurvePrior> curve_priors(const CurveLayout& layout, double lowest);
// Starting points by variable projection, the best `most` of a grid.
std::vector<std::vector<double>> curve_starts(const CurveProblem& problem, double lowest, size_t most);

}  // namespace flywheel::scaling
