// Priors and starting points of curve fits: on a grid of exponents the amplitudes are a small non-negative least
// squares.
#include <algorithm>
#include <cmath>

#include "scaling/curves/curve_problem.h"

namespace flywheel::scaling {
namespace {

// Least squares without negative amplitudes: drops the most negative until none is. Columns are relative to the loss.
Eigen::VectorXd amplitudes(const Eigen::MatrixXd& columns, const Eigen::VectorXd& weights, double& error) {
  std::vector<Eigen::Index> kept;
  for (Eigen::Index c = 0; c < columns.cols(); ++c) kept.push_back(c);
  const Eigen::VectorXd ones = weights.cwiseSqrt();
  while (true) {
    Eigen::MatrixXd chosen(columns.rows(), static_cast<Eigen::Index>(kept.size()));
    for (size_t c = 0; c < kept.size(); ++c)
      chosen.col(static_cast<Eigen::Index>(c)) = columns.col(kept[c]).cwiseProduct(ones);
    const Eigen::VectorXd found = chosen.colPivHouseholderQr().solve(ones);
    Eigen::Index lowest = 0;
    if (kept.size() > 1 && found.minCoeff(&lowest) < 0) {
      kept.erase(kept.begin() + lowest);
      continue;
    }
    error = (chosen * found - ones).squaredNorm();
    Eigen::VectorXd all = Eigen::VectorXd::Zero(columns.cols());
    for (size_t c = 0; c < kept.size(); ++c) all(kept[c]) = found(static_cast<Eigen::Index>(c));
    return all;
  }
}

// Exponents of the drops to start from: ln of C, beta, gamma, or of -ln lambda.
std::vector<std::vector<double>> drop_grid(CurveForm form) {
  std::vector<std::vector<double>> grid;
  if (form == CurveForm::kTokens) return {{}};
  if (form == CurveForm::kAnnealing) {
    for (const double forget : {0.0005, 0.002, 0.008, 0.03, 0.1}) grid.push_back({std::log(forget)});
    return grid;
  }
  for (const double c : {0.01, 0.05, 0.2, 1.0})
    for (const double beta : {0.3, 0.8})
      for (const double gamma : {0.3, 0.8}) grid.push_back({std::log(c), std::log(beta), std::log(gamma)});
  return grid;
}

}  // namespace

std::vector<CurvePrior> curve_priors(const CurveLayout& layout, double lowest) {
  const size_t drop = CurveLayout::kFirstDrop, size = layout.size_part();
  std::vector<CurvePrior> terms = {{CurveLayout::kE, std::log((layout.sized ? 0.5 : 0.7) * lowest), 0.5},
                                   {CurveLayout::kAlpha, std::log(0.45), 0.5}};
  if (layout.drop_parameters() == 4)
    terms.insert(terms.end(), {{drop, std::log(0.05 * lowest), 1},
                               {drop + 1, std::log(0.1), 1.5},
                               {drop + 2, std::log(0.6), 0.5},
                               {drop + 3, std::log(0.65), 0.5}});
  if (layout.form == CurveForm::kAnnealing)
    terms.insert(terms.end(), {{drop, std::log(0.05 * lowest), 1}, {drop + 1, std::log(0.005), 1.5}});
  if (layout.has_power()) terms.push_back({layout.power(), 0, 0.5});
  if (layout.sized)
    terms.insert(terms.end(), {{size, std::log(0.2 * lowest), 1}, {size + 1, std::log(0.35), 0.4}, {size + 2, 0, 0.1}});
  return terms;
}

std::vector<std::vector<double>> curve_starts(const CurveProblem& problem, double lowest, size_t most) {
  const CurveLayout& layout = problem.layout;
  const auto n = static_cast<Eigen::Index>(problem.points.size());
  const bool drops = layout.drop_parameters() > 0;
  Eigen::MatrixXd columns(n, 2 + (drops ? 1 : 0) + (layout.sized ? 1 : 0));
  Eigen::VectorXd weights(n);
  std::vector<std::pair<double, double>> exponents;  // p, alpha
  for (const double power : {1.0, 0.4, 0.1})
    for (const double alpha : {0.15, 0.3, 0.45, 0.65, 0.9})
      if (power == 1.0 || layout.has_power()) exponents.emplace_back(power, alpha);
  Eigen::MatrixXd powers(n, static_cast<Eigen::Index>(exponents.size()));
  for (size_t e = 0; e < exponents.size(); ++e)
    for (Eigen::Index i = 0; i < n; ++i) {
      const CurvePoint& point = problem.points[static_cast<size_t>(i)];
      const double ln_s = layout.has_power() ? ln_progress(point, std::log(exponents[e].first), nullptr) : point.ln_s;
      powers(i, static_cast<Eigen::Index>(e)) = std::exp(-exponents[e].second * ln_s) / point.loss;
    }
  std::vector<std::pair<double, std::vector<double>>> found;
  for (const std::vector<double>& shape : drop_grid(layout.form)) {
    for (Eigen::Index i = 0; i < n; ++i) {
      const CurvePoint& point = problem.points[static_cast<size_t>(i)];
      weights(i) = point.weight;
      columns(i, 0) = 1 / point.loss;
      if (drops) columns(i, 2) = -gained(layout, shape.data(), point, nullptr) / point.loss;
      if (layout.sized) columns(i, columns.cols() - 1) = std::exp(-0.35 * point.ln_n) / point.loss;
    }
    for (size_t e = 0; e < exponents.size(); ++e) {
      const auto [power, alpha] = exponents[e];
      columns.col(1) = powers.col(static_cast<Eigen::Index>(e));
      double error = 0;
      const Eigen::VectorXd x = amplitudes(columns, weights, error);
      const auto ln = [&](Eigen::Index c) { return std::log(std::max(x(c), 0.01 * lowest)); };
      std::vector<double> theta = {ln(0), ln(1), std::log(alpha)};
      if (drops) theta.push_back(ln(2));
      theta.insert(theta.end(), shape.begin(), shape.end());
      if (layout.has_power()) theta.push_back(std::log(power));
      if (layout.sized) theta.insert(theta.end(), {ln(columns.cols() - 1), std::log(0.35), 0.0});
      found.emplace_back(error, theta);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::vector<double>> best;
  for (size_t i = 0; i < found.size() && i < most; ++i) best.push_back(found[i].second);
  return best;
}

}  // namespace flywheel::scaling
