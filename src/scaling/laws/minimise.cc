#include "scaling/laws/minimise.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "scaling/laws/projection.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kStride = kMaxParameters;

using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, kStride, kStride>;
using Stored = Eigen::Matrix<double, kStride, kStride, Eigen::RowMajor>;
using Column = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, kStride, 1>;

// Solves matrix x = right, matrix symmetric in its lower triangle; false when a pivot says that it is not positive
// definite.
bool solve(const Square& matrix, const Column& right, Column& x) {
  const Eigen::LLT<Square, Eigen::Lower> factor(matrix);
  if (factor.info() != Eigen::Success) return false;
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    const double root = factor.matrixLLT()(i, i);
    if (!(root * root > 1e-14 * matrix(i, i))) return false;
  }
  x = factor.solve(right);
  return true;
}

void expand(const Objective& o, const double* theta, double delta, Sums& sums) {
  o.form.evaluate.expand(theta, o.sample, delta, sums);
  for (const PriorTerm& term : o.prior) {
    const auto at = static_cast<size_t>(term.parameter);
    const double z = (theta[at] - term.mean) / term.sd, curvature = o.prior_weight / (term.sd * term.sd);
    sums.value += o.prior_weight * 0.5 * z * z;
    sums.gradient[at] += o.prior_weight * z / term.sd;
    sums.newton[at * kStride + at] += curvature;
    sums.majorant[at] += curvature;
  }
  bool finite = std::isfinite(sums.value);
  for (size_t a = 0; a < o.form.parameters.size(); ++a) finite = finite && std::isfinite(sums.gradient[a]);
  if (!finite) sums.value = INFINITY;
}

// Damped Newton at one delta until a step gains less than `tolerance` of the value. A step is tried with its
// derivatives at once: most are taken.
double descend(const Objective& o, Theta& theta, double delta, int limit, double tolerance) {
  const size_t n = theta.size();
  const auto size = static_cast<Eigen::Index>(n);
  double damping = 1e-3;
  Sums here{}, there{};
  expand(o, theta.data(), delta, here);
  if (!std::isfinite(here.value)) return INFINITY;
  Theta trial(n);
  for (int iteration = 0; iteration < limit; ++iteration) {
    double expected = 0, gained = 0;
    while (damping < 1e10) {
      Square damped = Eigen::Map<const Stored>(here.newton).topLeftCorner(size, size);
      Column downhill(size), step;
      double scale = 0;
      for (size_t a = 0; a < n; ++a) scale = std::max(scale, here.majorant[a]);
      for (size_t a = 0; a < n; ++a) {
        const auto i = static_cast<Eigen::Index>(a);
        damped(i, i) += damping * (here.majorant[a] + 1e-12 * scale);
        downhill[i] = -here.gradient[a];
      }
      if (!solve(damped, downhill, step)) {
        damping = std::max(damping * 8, 1e-4);
        continue;
      }
      expected = 0;
      for (size_t a = 0; a < n; ++a) {
        const auto i = static_cast<Eigen::Index>(a);
        expected += 0.5 * downhill[i] * step[i];
        trial[a] = theta[a] + step[i];
      }
      expand(o, trial.data(), delta, there);
      gained = here.value - there.value;
      if (gained >= 0) {
        if (gained > 0.5 * expected) damping = std::max(damping * 0.1, 1e-12);
        break;
      }
      if (!(expected > 1e-16 * here.value)) break;
      damping = std::max(damping * 6, 1e-8);
    }
    if (!(gained > 0)) break;
    const double before = here.value;
    theta = trial;
    std::swap(here, there);
    if (gained < tolerance * before && expected < tolerance * before) break;
  }
  return here.value;
}

bool alike(const Theta& a, const Theta& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (std::abs(a[i] - b[i]) > 0.02 + 0.1 * std::abs(a[i])) return false;
  return true;
}

}  // namespace

double Objective::value(const Theta& theta) const {
  double sum = form.evaluate.value(theta.data(), sample, huber_delta);
  for (const PriorTerm& term : prior) {
    const double z = (theta[static_cast<size_t>(term.parameter)] - term.mean) / term.sd;
    sum += prior_weight * 0.5 * z * z;
  }
  return std::isfinite(sum) ? sum : INFINITY;
}

Minimum minimise(const Objective& objective, Theta start, double first_delta, Effort effort) {
  Minimum m{std::move(start), 0};
  for (double delta = first_delta; delta > 1.5 * objective.huber_delta; delta /= 4)
    descend(objective, m.theta, delta, effort == Effort::kFull ? 25 : 8, 1e-3);
  m.value = effort == Effort::kFull ? descend(objective, m.theta, objective.huber_delta, 200, 1e-11)
                                    : descend(objective, m.theta, objective.huber_delta, 40, 1e-7);
  return m;
}

Minimum minimise_globally(const Objective& objective) {
  constexpr size_t kPolished = 12, kCompared = 1000;
  const Sample few = thinned(objective.sample, kCompared);
  const Objective compared{objective.form, few, objective.huber_delta, objective.prior, objective.prior_weight};
  std::vector<Minimum> candidates;
  for (Theta& theta : objective.form.starts(few)) {
    const double value = compared.value(theta);
    if (std::isfinite(value)) candidates.push_back({std::move(theta), value});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Minimum& a, const Minimum& b) { return a.value < b.value; });
  Minimum best{{}, INFINITY};
  std::vector<const Theta*> polished;
  for (const Minimum& candidate : candidates) {
    if (polished.size() == kPolished) break;
    if (std::any_of(polished.begin(), polished.end(),
                    [&](const Theta* other) { return alike(*other, candidate.theta); }))
      continue;
    polished.push_back(&candidate.theta);
    Minimum minimum = minimise(objective, candidate.theta, 0.064);
    if (minimum.value < best.value) best = std::move(minimum);
  }
  best.starts = static_cast<int>(candidates.size());
  return best;
}

}  // namespace flywheel::scaling
