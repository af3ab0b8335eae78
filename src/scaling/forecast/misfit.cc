// Penalised Gauss-Newton for the law under the covariance of misfit and noise, with the noise's heavy tails as weights
// of a scale mixture (Lange, Little and Taylor 1989) and its size by expectation maximisation.
#include "scaling/forecast/misfit.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

constexpr int kIterations = 40;
constexpr double kNearLevel = 0.35;  // runs within this in ln C share a frontier

// Noise variance of each run relative to one at the frontier's top.
Eigen::VectorXd relative_variance(const Runs& runs, const Beliefs& beliefs) {
  const double highest = *std::max_element(runs.ln_c.begin(), runs.ln_c.end());
  Eigen::VectorXd variance(runs.size());
  for (size_t i = 0; i < runs.ln_l.size(); ++i) {
    double best = runs.ln_l[i];
    for (size_t j = 0; j < runs.ln_l.size(); ++j)
      if (std::abs(runs.ln_c[j] - runs.ln_c[i]) < kNearLevel) best = std::min(best, runs.ln_l[j]);
    const double excess = (runs.ln_l[i] - best) / beliefs.frontier_width;
    variance[static_cast<Eigen::Index>(i)] =
        std::exp(beliefs.focus * (highest - runs.ln_c[i])) * (1 + excess * excess) / std::sqrt(runs.repeats[i]);
  }
  return variance;
}

double matern(double distance) {
  const double x = std::sqrt(5.0) * distance;
  return (1 + x + x * x / 3) * std::exp(-x);
}

struct Linearised {
  Eigen::MatrixXd jacobian;
  Eigen::VectorXd residual;
};

Linearised linearise(const Runs& runs, const LawVector& theta) {
  Linearised l{Eigen::MatrixXd(runs.size(), kLawParameters), Eigen::VectorXd(runs.size())};
  double gradient[kLawParameters];
  for (Eigen::Index i = 0; i < runs.size(); ++i) {
    const auto k = static_cast<size_t>(i);
    const double value = law_value(theta, runs.ln_n[k] - runs.centre_n, runs.ln_d[k] - runs.centre_d, gradient);
    l.residual[i] = runs.ln_l[k] - value;
    l.jacobian.row(i) = Eigen::Map<Eigen::RowVectorXd>(gradient, kLawParameters);
  }
  return l;
}

// Diagonal of the inverse, in blocks of columns, because a column of the factor's inverse is zero above its diagonal.
Eigen::VectorXd inverse_diagonal(const Eigen::LLT<Eigen::MatrixXd>& llt) {
  constexpr Eigen::Index kBlock = 16;
  const Eigen::MatrixXd& factor = llt.matrixLLT();
  const Eigen::Index n = factor.rows();
  Eigen::VectorXd diagonal(n);
  for (Eigen::Index from = 0; from < n; from += kBlock) {
    const Eigen::Index left = n - from, width = std::min(kBlock, left);
    Eigen::MatrixXd columns = Eigen::MatrixXd::Identity(left, width);
    factor.bottomRightCorner(left, left).triangularView<Eigen::Lower>().solveInPlace(columns);
    diagonal.segment(from, width) = columns.colwise().squaredNorm();
  }
  return diagonal;
}

}  // namespace

double law_value(const LawVector& theta, double x_n, double x_d, double* gradient) {
  const double kappa = std::exp(theta[5]), alpha = std::exp(theta[3]), beta = std::exp(theta[4]);
  const double u = (theta[0] - alpha * x_n) / kappa, v = (theta[1] - beta * x_d) / kappa;
  const double top = std::max(u, v);
  const double inner = top + std::log(std::exp(u - top) + std::exp(v - top));
  const double p = std::exp(u - inner), q = 1 - p;
  const double reducible = kappa * inner, outer_top = std::max(reducible, theta[2]);
  const double value = outer_top + std::log(std::exp(reducible - outer_top) + std::exp(theta[2] - outer_top));
  if (gradient != nullptr) {
    const double w = std::exp(reducible - value);
    gradient[0] = w * p;
    gradient[1] = w * q;
    gradient[2] = 1 - w;
    gradient[3] = -w * p * alpha * x_n;
    gradient[4] = -w * q * beta * x_d;
    gradient[5] = w * kappa * (inner - p * u - q * v);
  }
  return value;
}

double misfit_correlation(const Beliefs& beliefs, const Site& a, const Site& b) {
  const double compute = std::abs(a.ln_n + a.ln_d - b.ln_n - b.ln_d) / beliefs.reach_compute;
  const double ratio = ((a.ln_d - a.ln_n) - (b.ln_d - b.ln_n)) / (2 * beliefs.reach_ratio);
  return (1 - beliefs.rough_share) * matern(std::sqrt(compute * compute + ratio * ratio)) +
         beliefs.rough_share * std::exp(-compute);
}

double ratio_correlation(const Beliefs& beliefs, const Site& a, const Site& b) {
  const double apart = std::abs(a.ln_aspect - b.ln_aspect);  // NAN where a shape is not known
  return std::isnan(apart) ? 0 : matern(apart / beliefs.reach_shape);
}

// Two sizes have one depth where width / depth goes as the root of N.
double depth_correlation(const Beliefs& beliefs, const Site& a, const Site& b) {
  return ratio_correlation(beliefs, {0, 0, a.ln_aspect - 0.5 * a.ln_n}, {0, 0, b.ln_aspect - 0.5 * b.ln_n});
}

void law_prior(const Runs& runs, const Beliefs& beliefs, LawVector& mean, LawVector& sd) {
  const double lowest = *std::min_element(runs.ln_l.begin(), runs.ln_l.end());
  const double middle = quantile(runs.ln_l, 0.5);
  const double ln_floor = lowest + std::log(beliefs.floor);
  const double term = std::log(std::max(std::exp(middle) - std::exp(ln_floor), 0.05 * std::exp(middle)) / 2);
  mean << term, term, ln_floor, std::log(beliefs.alpha), std::log(beliefs.beta), std::log(beliefs.kappa);
  sd << 3, 3, beliefs.floor_log_sd, beliefs.alpha_log_sd, beliefs.beta_log_sd, beliefs.kappa_log_sd;
}

MisfitFit fit_misfit(const Runs& runs, const Eigen::MatrixXd& correlation, const Eigen::MatrixXd& of_shape,
                     const Beliefs& beliefs, double misfit_sd, LawVector& start) {
  const Eigen::Index n = runs.size();
  LawVector mean, sd;
  law_prior(runs, beliefs, mean, sd);
  const LawVector precision = sd.cwiseAbs2().cwiseInverse();
  const Eigen::VectorXd relative = relative_variance(runs, beliefs);
  Eigen::VectorXd weight = Eigen::VectorXd::Ones(n);
  LawVector theta = start;
  double noise = 0.02, predictive = noise;
  const double effective_runs = relative.cwiseInverse().sum();
  Eigen::LLT<Eigen::MatrixXd> factor;
  const auto refactor = [&] {
    Eigen::MatrixXd covariance = misfit_sd * misfit_sd * correlation + of_shape;
    covariance.diagonal() += (noise * noise * relative.cwiseQuotient(weight)).array().matrix();
    covariance.diagonal().array() += 1e-12;
    factor.compute(covariance);
  };
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    refactor();
    Linearised l = linearise(runs, theta);
    const Eigen::MatrixXd whitened = factor.matrixL().solve(l.jacobian);
    const Eigen::VectorXd white_residual = factor.matrixL().solve(l.residual);
    Eigen::Matrix<double, kLawParameters, kLawParameters> hessian = whitened.transpose() * whitened;
    hessian.diagonal() += precision;
    hessian.diagonal() *= 1.01;
    const LawVector gradient = whitened.transpose() * white_residual - precision.cwiseProduct(theta - mean);
    LawVector step = hessian.llt().solve(gradient);
    const double longest = step.cwiseAbs().maxCoeff();
    if (longest > 1) step /= longest;
    theta += step;

    // Expectation of the squared noise of each run, then its size and the weights.
    l = linearise(runs, theta);
    const Eigen::VectorXd solved = factor.solve(l.residual);
    const Eigen::VectorXd precisions = inverse_diagonal(factor);
    double squares = beliefs.noise_runs * beliefs.noise_sd * beliefs.noise_sd, count = beliefs.noise_runs;
    Eigen::VectorXd standardised(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const double variance = noise * noise * relative[i] / weight[i];
      const double expected = variance * solved[i];
      const double spread = variance - variance * variance * precisions[i];
      squares += weight[i] * (expected * expected + std::max(spread, 0.0)) / relative[i];
      count += 1;
      standardised[i] = expected * expected / (noise * noise * relative[i]);
    }
    const double next = iteration < 2 ? std::max(std::sqrt(squares / count), 0.3 * noise) : std::sqrt(squares / count);
    const double change = std::abs(std::log(next / noise));
    for (Eigen::Index i = 0; i < n; ++i) weight[i] = (beliefs.tail + 1) / (beliefs.tail + standardised[i]);
    noise = next;
    predictive = std::sqrt(squares / (beliefs.noise_runs + effective_runs));
    if (iteration > 5 && step.cwiseAbs().maxCoeff() < 2e-3 && change < 0.01) break;
  }

  refactor();
  const Linearised l = linearise(runs, theta);
  MisfitFit fit;
  fit.theta = start = theta;
  fit.misfit_sd = misfit_sd;
  fit.noise_sd = predictive;
  fit.factor = factor.matrixL();
  fit.whitened = factor.matrixL().solve(l.jacobian);
  fit.alpha = factor.solve(l.residual);
  Eigen::Matrix<double, kLawParameters, kLawParameters> hessian = fit.whitened.transpose() * fit.whitened;
  hessian.diagonal() += precision;
  fit.posterior = hessian.inverse();
  const double size = std::log(misfit_sd / beliefs.misfit_sd) / beliefs.misfit_log_sd;
  fit.log_evidence = -0.5 * l.residual.dot(fit.alpha) - fit.factor.diagonal().array().log().sum() -
                     0.5 * precision.dot((theta - mean).cwiseAbs2()) - sd.array().log().sum() -
                     0.5 * std::log(hessian.determinant()) -
                     0.5 * beliefs.tail * (weight.array() - 1 - weight.array().log()).sum() - 0.5 * size * size -
                     beliefs.noise_runs * (std::log(noise) + 0.5 * std::pow(beliefs.noise_sd / noise, 2));
  return fit;
}

}  // namespace flywheel::scaling
