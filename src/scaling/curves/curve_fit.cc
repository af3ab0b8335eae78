// The fit of a curve law: what may be fitted, which points count, and the best of several polished starts.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/curves/curve_law.h"
#include "scaling/curves/curve_problem.h"

namespace flywheel::scaling {
namespace {

constexpr double kCurvePriorNoise = 0.003;  // a normal prior on the parameters against log residuals of about this size
constexpr size_t kPolished = 6;             // starts, of the best of the grid

}  // namespace

CurveLaw fit_curves(std::span<const Curve> curves, const CurveFitOptions& options) {
  if (curves.empty()) throw_bad_input("a curve law needs curves, found none");
  if (!(options.huber_delta > 0))
    throw_bad_input("the Huber delta is {}, expected a number above 0", options.huber_delta);
  CurveLaw law;
  std::vector<Schedule> schedules;
  std::set<double> sizes, batches;
  law.shortest = INFINITY;
  double lowest = INFINITY, ln_n = 0;
  for (const Curve& curve : curves) {
    if (curve.rates.empty()) throw_bad_input("curve \"{}\" has no learning rates", curve.name);
    schedules.emplace_back(curve.rates);
    if (!(schedules.back().peak() > 0))
      throw_bad_input("curve \"{}\": the learning rate is zero throughout", curve.name);
    if ((curve.N > 0) != (curves.front().N > 0))
      throw_bad_input(
          "curve \"{}\": N (parameters) is given for some curves and not for others; give it for all or none",
          curve.N > 0 ? curves.front().name : curve.name);
    sizes.insert(curve.N);
    if (curve.tokens_per_step > 0) batches.insert(curve.tokens_per_step);
    double& reference = law.reference_rates[curve.N];
    reference = std::max(reference, schedules.back().peak());
    if (!curve.losses.empty()) law.shortest = std::min(law.shortest, curve.losses.back().step);
    if (!curve.losses.empty()) law.longest = std::max(law.longest, curve.losses.back().step);
    for (const LossPoint& point : curve.losses) lowest = std::min(lowest, point.loss);
    if (curve.N > 0) ln_n += std::log(curve.N) / static_cast<double>(curves.size());
  }
  law.reference_n = curves.front().N > 0 ? std::exp(ln_n) : 0;
  law.layout = {options.form, sizes.size() > 1};

  CurveProblem problem{law.layout,
                       {},
                       curve_priors(law.layout, lowest),
                       options.huber_delta,
                       options.prior * kCurvePriorNoise * kCurvePriorNoise};
  double most_dropped = 0;
  for (size_t c = 0; c < curves.size(); ++c) {
    const double reference = law.reference_rates[curves[c].N];
    const size_t before = problem.points.size();
    for (const LossPoint& measured : curves[c].losses) {
      if (measured.step <= schedules[c].warmup_end() || measured.step < options.skip * law.shortest) continue;
      problem.points.push_back(curve_point(options.form, schedules[c], measured.step, reference,
                                           law.layout.sized ? std::log(curves[c].N / law.reference_n) : 0));
      problem.points.back().loss = measured.loss;
      most_dropped = std::max(most_dropped, (schedules[c].peak() - schedules[c].rate_at(measured.step)) / reference);
    }
    law.curves += problem.points.size() > before;
    for (size_t i = before; i < problem.points.size(); ++i)
      problem.points[i].weight = 1 / static_cast<double>(problem.points.size() - before);
  }
  law.points = problem.points.size();
  if (law.points == 0)
    throw_bad_input(
        "no loss is measured after the warm-up and the first {:.0f}% of the shortest curve; evaluate more often",
        100 * options.skip);
  for (CurvePoint& point : problem.points)
    point.weight *= static_cast<double>(law.points) / static_cast<double>(law.curves);

  law.decay_seen = most_dropped > 0.1;
  if (!law.decay_seen && options.form != CurveForm::kTokens)
    law.warnings.push_back(
        "no curve lowers its rate by a tenth: what a decay is worth comes from a prior; add a run that decays");
  if (sizes.size() == 2)
    law.warnings.push_back("2 model sizes: kappa cannot be told from K; add a third, over a factor of 4 in N");
  if (batches.size() > 1)
    law.warnings.push_back(
        "curves differ in tokens per step: the law counts steps and does not know what a batch is worth");
  if (law.points < 2 * law.layout.size())
    law.warnings.push_back(
        fmt::format("{} points for {} parameters: the prior decides the rest", law.points, law.layout.size()));

  const bool warm = options.warm.size() == law.layout.size();
  std::vector<std::vector<double>> from = curve_starts(problem, lowest, warm ? 1 : kPolished);
  if (warm) from.push_back(options.warm);
  law.objective = INFINITY;
  for (std::vector<double>& theta : from) {
    const double reached = problem.polish(theta);
    if (reached < law.objective) law.objective = reached, law.theta = theta;
  }
  if (law.theta.empty()) throw_failed("the {} law could not be fitted to these curves", name_of(options.form));
  std::vector<double> residuals;
  for (const CurvePoint& point : problem.points)
    residuals.push_back(std::log(curve_loss(law.layout, law.theta, point, nullptr) / point.loss));
  law.residual_sd = robust_sd(residuals);
  return law;
}

}  // namespace flywheel::scaling
