#include "scaling/allocation/isoflop.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

using Parabola = Eigen::Vector3d;  // constant, slope, half curvature in x = ln N - centre

// Least squares reweighted by Huber's rule at 1.5 robust standard deviations.
Parabola fit_parabola(const Eigen::VectorXd& x, const Eigen::VectorXd& y) {
  Eigen::MatrixXd columns(x.size(), 3);
  columns << Eigen::VectorXd::Ones(x.size()), x, x.cwiseProduct(x);
  Eigen::VectorXd root_weight = Eigen::VectorXd::Ones(x.size());
  Parabola parabola = Parabola::Zero();
  for (int round = 0; round < 20; ++round) {
    const Eigen::MatrixXd weighted = root_weight.asDiagonal() * columns;
    parabola = weighted.colPivHouseholderQr().solve(root_weight.cwiseProduct(y));
    const Eigen::VectorXd residual = y - columns * parabola;
    const double scale = 1.5 * robust_sd({residual.data(), residual.data() + residual.size()});
    if (!(scale > 1e-12)) break;
    for (Eigen::Index i = 0; i < x.size(); ++i)
      root_weight[i] = std::sqrt(std::min(1.0, scale / std::max(std::abs(residual[i]), 1e-300)));
  }
  return parabola;
}

bool inner_minimum(const Parabola& p, double low, double high, double& at) {
  if (!(p[2] > 1e-9)) return false;
  at = -p[1] / (2 * p[2]);
  return at > low && at < high;
}

double value(const Parabola& p, double x) {
  return p[0] + x * (p[1] + x * p[2]);
}

}  // namespace

IsoflopMinimum isoflop_minimum(std::span<const Point> level, uint64_t seed, int bootstrap) {
  if (level.empty()) throw_bad_input("an isoFLOP minimum needs runs, found none");
  std::set<double> sizes;
  const Point* best = level.data();
  for (const Point& p : level) {
    if (!(p.N > 0) || !(p.L > 0) || !std::isfinite(p.N) || !std::isfinite(p.L))
      throw_bad_input("an isoFLOP minimum needs N and L above 0, found N = {} and L = {}", p.N, p.L);
    sizes.insert(p.N);
    if (p.L < best->L) best = &p;
  }
  IsoflopMinimum result;
  result.N = result.N_low = result.N_high = best->N;
  result.L = result.L_low = result.L_high = best->L;
  if (sizes.size() < 3) {
    result.at_edge = true;
    result.warning = fmt::format("{} size(s): a minimum needs at least 3; the best run is given", sizes.size());
    return result;
  }
  const auto n = static_cast<Eigen::Index>(level.size());
  const double low_ln = std::log(*sizes.begin()), high_ln = std::log(*sizes.rbegin());
  const double centre = 0.5 * (low_ln + high_ln), low = low_ln - centre, high = high_ln - centre;
  Eigen::VectorXd x(n), y(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    x[i] = std::log(level[static_cast<size_t>(i)].N) - centre;
    y[i] = std::log(level[static_cast<size_t>(i)].L);
  }
  const Parabola parabola = fit_parabola(x, y);
  result.curvature = 2 * parabola[2];
  double at = 0;
  if (!inner_minimum(parabola, low, high, at)) {
    result.at_edge = true;
    result.warning = fmt::format("no minimum between {:.3g} and {:.3g} parameters: add {} sizes", *sizes.begin(),
                                 *sizes.rbegin(), value(parabola, low) < value(parabola, high) ? "smaller" : "larger");
  } else {
    result.N = std::exp(at + centre);
    result.L = std::exp(value(parabola, at));
    if (best->N == *sizes.begin() || best->N == *sizes.rbegin()) {
      result.at_edge = true;
      result.warning = "the best run is the smallest or the largest size sampled: add sizes on that side";
    }
  }
  // Residual bootstrap: keeps the design, which has few sizes.
  Eigen::VectorXd fitted(n), residual(n);
  for (Eigen::Index i = 0; i < n; ++i) fitted[i] = value(parabola, x[i]);
  residual = (y - fitted) * std::sqrt(static_cast<double>(n) / std::max<double>(1, static_cast<double>(n - 3)));
  std::vector<double> all_n, all_l;
  for (int b = 0; b < bootstrap; ++b) {
    Rng rng(seed, static_cast<uint64_t>(b) + 1);
    Eigen::VectorXd drawn = fitted;
    for (Eigen::Index i = 0; i < n; ++i)
      drawn[i] += residual[static_cast<Eigen::Index>(rng.below(static_cast<uint64_t>(n)))];
    const Parabola p = fit_parabola(x, drawn);
    double where = 0;
    if (!inner_minimum(p, low, high, where)) where = value(p, low) < value(p, high) ? low : high;
    all_n.push_back(where + centre);
    all_l.push_back(value(p, where));
  }
  if (!all_n.empty()) {
    result.N_low = std::min(result.N, std::exp(quantile(all_n, 0.05)));
    result.N_high = std::max(result.N, std::exp(quantile(all_n, 0.95)));
    result.L_low = std::min(result.L, std::exp(quantile(all_l, 0.05)));
    result.L_high = std::max(result.L, std::exp(quantile(all_l, 0.95)));
  }
  return result;
}

}  // namespace flywheel::scaling
