// The Hessian is an arrow: amplitudes of different groups meet only through the exponents. So each Newton step
// eliminates the amplitudes group by group (Schur complement) and solves for the exponents.
#include "scaling/laws/groups.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/laws/form.h"
#include "scaling/laws/minimise.h"

namespace flywheel::scaling {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

// Which internal parameters each group has for itself, and which are common.
struct Split {
  std::vector<Eigen::Index> own, common;
};
Split split_of(const Form& form) {
  Split split;
  for (size_t i = 0; i < form.parameters.size(); ++i) {
    const std::string_view name = form.parameters[i].name;
    (name == "A" || name == "B" || name == "E" ? split.own : split.common).push_back(static_cast<Eigen::Index>(i));
  }
  return split;
}

struct Joint {
  double value = 0;
  std::vector<Sums> sums;  // of each group
};

Joint expand(const Form& form, const std::vector<Sample>& samples, const std::vector<Theta>& thetas, double delta) {
  Joint joint;
  for (size_t g = 0; g < samples.size(); ++g) {
    Sums sums{};
    form.evaluate.expand(thetas[g].data(), samples[g], delta, sums);
    joint.value += std::isfinite(sums.value) ? sums.value : INFINITY;
    joint.sums.push_back(sums);
  }
  return joint;
}

// The damped Newton step of every group's parameters; empty when the damped Hessian is not positive definite.
std::vector<Vector> newton_step(const Joint& joint, const Split& split, double damping) {
  const auto n = static_cast<Eigen::Index>(split.own.size() + split.common.size());
  const auto common = static_cast<Eigen::Index>(split.common.size());
  Matrix schur = Matrix::Zero(common, common);
  Vector right = Vector::Zero(common);
  std::vector<Matrix> coupling;  // own^-1 own_common
  std::vector<Vector> own_step;  // own^-1 (-gradient)
  for (const Sums& sums : joint.sums) {
    using Stored = Eigen::Matrix<double, kMaxParameters, kMaxParameters, Eigen::RowMajor>;
    const Matrix lower = Eigen::Map<const Stored>(sums.newton).topLeftCorner(n, n);
    Matrix full = lower.selfadjointView<Eigen::Lower>();
    const Vector majorant = Eigen::Map<const Vector>(sums.majorant, n);
    full.diagonal() += damping * (majorant.array() + 1e-12 * majorant.maxCoeff()).matrix();
    const Vector downhill = -Eigen::Map<const Vector>(sums.gradient, n);
    const Eigen::LLT<Matrix> own(Matrix(full(split.own, split.own)));
    if (own.info() != Eigen::Success) return {};
    const Matrix cross = full(split.own, split.common);
    coupling.push_back(own.solve(cross));
    own_step.push_back(own.solve(Vector(downhill(split.own))));
    schur += full(split.common, split.common) - cross.transpose() * coupling.back();
    right += downhill(split.common) - cross.transpose() * own_step.back();
  }
  const Eigen::LLT<Matrix> factor(schur);
  if (factor.info() != Eigen::Success) return {};
  const Vector shared = factor.solve(right);
  std::vector<Vector> steps;
  for (size_t g = 0; g < joint.sums.size(); ++g) {
    Vector step(n);
    step(split.own) = own_step[g] - coupling[g] * shared;
    step(split.common) = shared;
    steps.push_back(step);
  }
  return steps;
}

double descend(const Form& form, const Split& split, const std::vector<Sample>& samples, std::vector<Theta>& thetas,
               double delta) {
  double damping = 1e-3;
  Joint here = expand(form, samples, thetas, delta);
  for (int iteration = 0; iteration < 200 && damping < 1e10; ++iteration) {
    const std::vector<Vector> steps = newton_step(here, split, damping);
    if (steps.empty()) {
      damping = std::max(8 * damping, 1e-4);
      continue;
    }
    std::vector<Theta> trial = thetas;
    for (size_t g = 0; g < trial.size(); ++g)
      for (size_t i = 0; i < trial[g].size(); ++i) trial[g][i] += steps[g][static_cast<Eigen::Index>(i)];
    Joint there = expand(form, samples, trial, delta);
    const double gained = here.value - there.value;
    if (!(gained >= 0)) {
      damping = std::max(6 * damping, 1e-8);
      continue;
    }
    thetas = std::move(trial);
    here = std::move(there);
    if (gained < 1e-10 * here.value) break;
    damping = std::max(0.1 * damping, 1e-12);
  }
  return here.value;
}

double minimise_jointly(const Form& form, const Split& split, const std::vector<Sample>& samples,
                        std::vector<Theta>& thetas, double first_delta, double delta) {
  for (double wide = first_delta; wide > 1.5 * delta; wide /= 4) descend(form, split, samples, thetas, wide);
  return descend(form, split, samples, thetas, delta);
}

// A start: one group's law for all, its amplitudes scaled to the level of each group's own.
std::vector<Theta> with_common(std::vector<Theta> thetas, const Split& split, const Theta& source,
                               const std::vector<Sample>& samples, const Form& form) {
  for (size_t g = 0; g < thetas.size(); ++g) {
    const Sample& s = samples[g];
    const Run middle = s.run(s.size() / 2);
    const double level = form.log_loss(thetas[g].data(), middle, nullptr, nullptr);
    thetas[g] = source;
    const double shift = level - form.log_loss(source.data(), middle, nullptr, nullptr);
    if (std::isfinite(shift))
      for (const Eigen::Index i : split.own) thetas[g][static_cast<size_t>(i)] += shift;
  }
  return thetas;
}

Law law_of(const Form& form, const Theta& theta, const Sample& sample, double delta) {
  Law law;
  law.form = form.name;
  law.parameters = form.report(theta);
  law.objective = form.evaluate.value(theta.data(), sample, delta);
  law.points = static_cast<int>(sample.size());
  return law;
}

Sample redrawn(const Sample& sample, Rng& rng) {
  Sample drawn;
  for (size_t i = 0; i < sample.size(); ++i) {
    const size_t pick = rng.below(sample.size());
    drawn.add(sample.run(pick), sample.ln_l[pick], sample.weight[pick]);
  }
  return drawn;
}

}  // namespace

std::vector<Fit> fit_shared_exponents(std::span<const std::vector<Point>> groups, const FitOptions& options) {
  const Form* form = find_form(options.form);
  if (form != nullptr && form->sees == Form::Sees::kCompute)
    throw_bad_input("form \"{}\" sees compute alone: exponents in common need a form of N and D", options.form);
  FitOptions alone = published_options();
  alone.form = options.form;
  alone.huber_delta = options.huber_delta;
  alone.bootstrap = 0;
  std::vector<Fit> fits;
  std::vector<Sample> samples;
  std::vector<Theta> own;
  for (const std::vector<Point>& points : groups) {
    fits.push_back(fit(points, alone));  // refuses what is no run
    own.push_back(find_form(options.form)->internal(fits.back().law.parameters));
    samples.emplace_back();
    for (const Point& p : points) samples.back().add(run_of(p), std::log(p.L), p.count);
  }
  const Split split = split_of(*form);
  std::vector<Theta> best;
  double lowest = INFINITY;
  for (const Theta& source : own) {
    std::vector<Theta> thetas = with_common(own, split, source, samples, *form);
    const double value = minimise_jointly(*form, split, samples, thetas, 0.064, options.huber_delta);
    if (value < lowest) lowest = value, best = std::move(thetas);
  }
  if (best.empty()) throw_failed("no start of the form {} gives a finite loss on these groups", form->name);

  for (size_t g = 0; g < fits.size(); ++g) {
    const double spread = fits[g].law.residual_sd;
    fits[g].law = law_of(*form, best[g], samples[g], options.huber_delta);
    std::vector<double> residuals;
    for (size_t i = 0; i < samples[g].size(); ++i)
      residuals.push_back(samples[g].ln_l[i] - form->log_loss(best[g].data(), samples[g].run(i), nullptr, nullptr));
    fits[g].law.residual_sd = std::max(spread, robust_sd(std::move(residuals)));
  }
  for (int b = 0; b < options.bootstrap; ++b) {
    Rng rng(options.seed, static_cast<uint64_t>(b) + 1);
    std::vector<Sample> drawn;
    for (const Sample& sample : samples) drawn.push_back(redrawn(sample, rng));
    std::vector<Theta> thetas = best;
    minimise_jointly(*form, split, drawn, thetas, 0.004, options.huber_delta);
    for (size_t g = 0; g < fits.size(); ++g)
      fits[g].resamples.push_back(law_of(*form, thetas[g], drawn[g], options.huber_delta));
  }
  for (Fit& one : fits)
    for (const Parameter& parameter : form->parameters) {
      std::vector<double> values;
      for (const Law& law : one.resamples) values.push_back(law.parameters.at(parameter.name));
      if (!values.empty()) one.interval95[parameter.name] = {quantile(values, 0.025), quantile(values, 0.975)};
    }
  return fits;
}

}  // namespace flywheel::scaling
