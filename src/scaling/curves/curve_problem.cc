// Levenberg-Marquardt on iteratively reweighted least squares: a Huber residual beyond delta counts with delta / |r|.
#include "scaling/curves/curve_problem.h"

#include <algorithm>
#include <cmath>

namespace flywheel::scaling {

double CurveProblem::value(const std::vector<double>& theta, Eigen::MatrixXd* gram, Eigen::VectorXd* gradient) const {
  const auto n = static_cast<Eigen::Index>(layout.size());
  if (gram != nullptr) *gram = Eigen::MatrixXd::Zero(n, n), *gradient = Eigen::VectorXd::Zero(n);
  Eigen::VectorXd slope(n);
  double total = 0;
  for (const CurvePoint& point : points) {
    const double loss = curve_loss(layout, theta, point, gram == nullptr ? nullptr : slope.data());
    if (!(loss > 0) || !std::isfinite(loss)) return INFINITY;
    const double r = std::log(loss / point.loss), size = std::abs(r);
    total += point.weight * (size <= huber ? 0.5 * r * r : huber * (size - 0.5 * huber));
    if (gram == nullptr) continue;
    const double weight = point.weight * (size <= huber ? 1 : huber / size);
    slope /= loss;
    *gradient += weight * r * slope;
    gram->selfadjointView<Eigen::Upper>().rankUpdate(slope, weight);
  }
  for (const CurvePrior& term : priors) {
    const double weight = prior_weight / (term.sd * term.sd), off = theta[term.parameter] - term.mean;
    total += 0.5 * weight * off * off;
    if (gram == nullptr) continue;
    const auto p = static_cast<Eigen::Index>(term.parameter);
    (*gradient)(p) += weight * off;
    (*gram)(p, p) += weight;
  }
  return std::isfinite(total) ? total : INFINITY;
}

double CurveProblem::polish(std::vector<double>& theta) const {
  Eigen::MatrixXd gram;
  Eigen::VectorXd gradient;
  double damping = 1e-3, best = value(theta, &gram, &gradient);
  int stalled = 0;
  for (int iteration = 0; iteration < 200 && stalled < 4 && damping < 1e12; ++iteration) {
    Eigen::MatrixXd damped = gram.selfadjointView<Eigen::Upper>();
    damped.diagonal() += damping * damped.diagonal() + Eigen::VectorXd::Constant(damped.rows(), 1e-15);
    const Eigen::VectorXd step = damped.ldlt().solve(gradient);
    std::vector<double> next = theta;
    for (size_t i = 0; i < next.size(); ++i) next[i] -= std::clamp(step(static_cast<Eigen::Index>(i)), -1.0, 1.0);
    const double reached = value(next, nullptr, nullptr);
    if (!(reached < best)) {
      damping *= 4;
      continue;
    }
    stalled = best - reached < 1e-7 * best ? stalled + 1 : 0;
    theta = next;
    damping = std::max(damping / 5, 1e-12);
    best = value(theta, &gram, &gradient);
  }
  return best;
}

}  // namespace flywheel::scaling
