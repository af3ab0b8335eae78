#include "scaling/minimise.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

namespace flywheel::scaling {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMaxParameters, kMaxParameters>;
using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, kMaxParameters, 1>;

double huber(double r, double delta) {
  const double a = std::abs(r);
  return a <= delta ? 0.5 * r * r : delta * (a - 0.5 * delta);
}

double value_at(const Objective& o, const double* theta, double delta) {
  double sum = 0;
  for (size_t i = 0; i < o.sample.size(); ++i) {
    if (o.weights[i] == 0) continue;
    const double predicted = o.form.log_loss(theta, o.sample.ln_n[i], o.sample.ln_d[i], nullptr, nullptr);
    sum += o.weights[i] * huber(predicted - o.sample.ln_l[i], delta);
  }
  for (const PriorTerm& term : o.prior) {
    const double z = (theta[term.parameter] - term.mean) / term.sd;
    sum += o.prior_weight * 0.5 * z * z;
  }
  return std::isfinite(sum) ? sum : INFINITY;
}

struct Expansion {
  double value = 0;
  Vector gradient;
  Matrix newton;    // exact Hessian where the Huber loss is smooth
  Vector majorant;  // diagonal of the iteratively reweighted Gauss-Newton matrix: the scale for damping
};

Expansion expand(const Objective& o, const double* theta, double delta) {
  const auto n = static_cast<Eigen::Index>(o.form.parameters.size());
  Expansion e;
  e.gradient = Vector::Zero(n);
  e.newton = Matrix::Zero(n, n);
  e.majorant = Vector::Zero(n);
  double g[kMaxParameters];
  double h[kMaxParameters * kMaxParameters] = {};
  for (size_t i = 0; i < o.sample.size(); ++i) {
    const double w = o.weights[i];
    if (w == 0) continue;
    const double r = o.form.log_loss(theta, o.sample.ln_n[i], o.sample.ln_d[i], g, h) - o.sample.ln_l[i];
    const bool inner = std::abs(r) <= delta;
    const double psi = w * (inner ? r : std::copysign(delta, r));
    const double irls = w * (inner ? 1.0 : delta / std::abs(r));
    e.value += w * huber(r, delta);
    for (Eigen::Index a = 0; a < n; ++a) {
      e.gradient[a] += psi * g[a];
      e.majorant[a] += irls * g[a] * g[a];
      for (Eigen::Index b = a; b < n; ++b)
        e.newton(b, a) += psi * h[a * kMaxParameters + b] + (inner ? w * g[a] * g[b] : 0.0);
    }
  }
  for (const PriorTerm& term : o.prior) {
    const double z = (theta[term.parameter] - term.mean) / term.sd;
    const double curvature = o.prior_weight / (term.sd * term.sd);
    e.value += o.prior_weight * 0.5 * z * z;
    e.gradient[term.parameter] += o.prior_weight * z / term.sd;
    e.newton(term.parameter, term.parameter) += curvature;
    e.majorant[term.parameter] += curvature;
  }
  return e;
}

// Damped Newton at one delta; `precise` asks for the last digits.
double descend(const Objective& o, Theta& theta, double delta, bool precise) {
  const int limit = precise ? 200 : 25;
  const double tolerance = precise ? 1e-11 : 1e-3;
  const auto n = static_cast<Eigen::Index>(theta.size());
  double damping = 1e-3;
  Expansion e = expand(o, theta.data(), delta);
  Theta trial(theta.size());
  for (int iteration = 0; iteration < limit; ++iteration) {
    bool moved = false;
    double expected = 0;
    while (damping < 1e10) {
      Matrix damped = e.newton;
      for (Eigen::Index a = 0; a < n; ++a) damped(a, a) += damping * (e.majorant[a] + 1e-300);
      const Eigen::LLT<Matrix, Eigen::Lower> factor(damped);
      if (factor.info() != Eigen::Success) {
        damping = std::max(damping * 8, 1e-4);
        continue;
      }
      const Vector step = factor.solve(-e.gradient);
      expected = -0.5 * e.gradient.dot(step);
      for (Eigen::Index a = 0; a < n; ++a) trial[static_cast<size_t>(a)] = theta[static_cast<size_t>(a)] + step[a];
      const double value = value_at(o, trial.data(), delta);
      if (value <= e.value) {
        moved = value < e.value;
        damping = std::max(damping * ((e.value - value) > 0.5 * expected ? 0.1 : 1.0), 1e-12);
        break;
      }
      if (!(expected > 1e-16 * e.value)) break;
      damping = std::max(damping * 6, 1e-8);
    }
    if (!moved) break;
    const double before = e.value;
    theta = trial;
    e = expand(o, theta.data(), delta);
    if (before - e.value < tolerance * std::abs(before) && expected < tolerance * std::abs(before)) break;
  }
  return e.value;
}

}  // namespace

double Objective::value(const Theta& theta) const {
  return value_at(*this, theta.data(), huber_delta);
}

Minimum minimise(const Objective& objective, Theta start, double first_delta) {
  Minimum m{std::move(start), 0};
  for (double delta = first_delta; delta > 1.5 * objective.huber_delta; delta /= 4)
    descend(objective, m.theta, delta, false);
  m.value = descend(objective, m.theta, objective.huber_delta, true);
  return m;
}

Minimum minimise_globally(const Objective& objective) {
  constexpr size_t kPolished = 8;
  std::vector<Minimum> candidates;
  for (Theta& theta : objective.form.starts(objective.sample, objective.weights)) {
    const double value = objective.value(theta);
    if (std::isfinite(value)) candidates.push_back({std::move(theta), value});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Minimum& a, const Minimum& b) { return a.value < b.value; });
  Minimum best{{}, INFINITY};
  for (size_t i = 0; i < std::min(kPolished, candidates.size()); ++i) {
    Minimum polished = minimise(objective, candidates[i].theta, 0.064);
    if (polished.value < best.value) best = std::move(polished);
  }
  return best;
}

}  // namespace flywheel::scaling
