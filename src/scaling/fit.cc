// The fit and its bootstrap.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "scaling/law.h"
#include "scaling/minimise.h"
#include "scaling/statistics.h"

namespace flywheel::scaling {
namespace {

// The prior speaks in units of log loss: a normal prior on the parameters against absolute errors of about this size.
constexpr double kPriorNoise = 0.003;

double flops_of(const Point& point) {
  return point.C > 0 ? point.C : 6 * point.N * point.D;
}

// What the runs cannot tell, in words.
void find_gaps(const Sample& sample, size_t parameters, Fit& fit) {
  const auto distinct = [](const std::vector<double>& logs) {
    std::set<int64_t> seen;
    for (const double x : logs) seen.insert(std::llround(x * 200));
    return seen.size();
  };
  std::set<std::pair<int64_t, int64_t>> cells;
  for (size_t i = 0; i < sample.size(); ++i)
    cells.emplace(std::llround(sample.ln_n[i] * 200), std::llround(sample.ln_d[i] * 200));
  const auto unidentified = [&](std::string warning) {
    fit.identified = false;
    fit.warnings.push_back(std::move(warning));
  };
  if (cells.size() <= parameters)
    unidentified(
        fmt::format("{} different (N, D) for {} parameters: the prior decides the rest; add at least {} runs of other "
                    "sizes or lengths",
                    cells.size(), parameters, parameters + 1 - cells.size()));
  if (distinct(sample.ln_n) < 3)
    unidentified(
        fmt::format("{} model size(s): alpha cannot be told; add runs of other sizes (at least 3, over a factor of 4)",
                    distinct(sample.ln_n)));
  if (distinct(sample.ln_d) < 3)
    unidentified(
        fmt::format("{} training length(s): beta cannot be told; add runs of other lengths (at least 3, over a factor "
                    "of 4)",
                    distinct(sample.ln_d)));
  // Residual spread of ln D about its regression on ln N: without it the exponents trade against each other.
  const double n = static_cast<double>(sample.size());
  double mean_n = 0, mean_d = 0, nn = 0, nd = 0, dd = 0;
  for (size_t i = 0; i < sample.size(); ++i) mean_n += sample.ln_n[i] / n, mean_d += sample.ln_d[i] / n;
  for (size_t i = 0; i < sample.size(); ++i) {
    const double x = sample.ln_n[i] - mean_n, y = sample.ln_d[i] - mean_d;
    nn += x * x, nd += x * y, dd += y * y;
  }
  if (sample.size() > 2 && nn > 0 && dd > 0 && std::sqrt(std::max(0.0, dd - nd * nd / nn) / n) < 0.1)
    unidentified(
        "tokens follow size throughout (D is a function of N): alpha and beta cannot be told apart; at one compute "
        "level, add runs that are 2x larger and shorter, and 2x smaller and longer");
}

std::vector<double> run_weights(std::span<const Point> points, double highest_flops, const FitOptions& options) {
  std::vector<double> weights;
  for (const Point& point : points) weights.push_back(std::pow(flops_of(point) / highest_flops, options.focus));
  if (!(options.frontier_width > 0)) return weights;
  for (const std::vector<size_t>& level : compute_levels(points)) {
    double best = INFINITY;
    for (const size_t i : level) best = std::min(best, points[i].L);
    for (const size_t i : level) {
      const double excess = std::log(points[i].L / best) / options.frontier_width;
      weights[i] /= 1 + excess * excess;
    }
  }
  return weights;
}

Law make_law(const Form& form, const Minimum& minimum, const Sample& sample) {
  Law law;
  law.form = form.name;
  law.parameters = form.report(minimum.theta);
  law.objective = minimum.value;
  law.points = static_cast<int>(sample.size());
  return law;
}

std::vector<double> resample_weights(std::span<const double> weights, uint64_t seed, uint64_t resample) {
  Rng rng(seed, resample);
  std::vector<double> drawn(weights.size(), 0.0);
  for (size_t i = 0; i < weights.size(); ++i) {
    const size_t pick = rng.below(weights.size());
    drawn[pick] += weights[pick];
  }
  return drawn;
}

}  // namespace

void check_points(std::span<const Point> points) {
  if (points.empty()) throw_bad_input("a law needs runs, found none");
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    const auto require = [&](const char* name, double value) {
      if (!std::isfinite(value) || value <= 0)
        throw_bad_input("run {}: {} is {}, expected a finite number above 0", i + 1, name, value);
    };
    require("N (parameters)", p.N);
    require("D (tokens)", p.D);
    require("L (loss)", p.L);
    if (!std::isfinite(p.C) || p.C < 0)
      throw_bad_input("run {}: C (FLOPs) is {}, expected a finite number, 0 or more", i + 1, p.C);
  }
}

FitOptions published_options() {
  FitOptions options;
  options.focus = 0;
  options.frontier_width = 0;
  options.prior = 0;
  return options;
}

Fit fit(std::span<const Point> points, const FitOptions& options) {
  const Form* form = find_form(options.form);
  if (form == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", options.form, form_names());
  if (!(options.huber_delta > 0))
    throw_bad_input("the Huber delta is {}, expected a number above 0", options.huber_delta);
  check_points(points);

  Fit result;
  Sample sample;
  for (const Point& point : points) {
    sample.ln_n.push_back(std::log(point.N));
    sample.ln_d.push_back(std::log(point.D));
    sample.ln_l.push_back(std::log(point.L));
    result.highest_flops = std::max(result.highest_flops, flops_of(point));
  }
  const std::vector<double> weights = run_weights(points, result.highest_flops, options);
  result.flops_rule = flops_rule(points);
  find_gaps(sample, form->parameters.size(), result);

  // A singular problem gets the prior in any case: numbers that can be read, with identified = false.
  const double strength = result.identified ? options.prior : std::max(options.prior, 1.0);
  const Objective objective{*form,
                            sample,
                            weights,
                            options.huber_delta,
                            strength > 0 ? form->prior(sample) : std::vector<PriorTerm>{},
                            strength * options.huber_delta * kPriorNoise};
  const Minimum best = minimise_globally(objective);
  if (best.theta.empty()) throw_failed("no start of the form {} gives a finite loss on these runs", form->name);
  result.law = make_law(*form, best, sample);
  std::vector<double> residuals;
  for (size_t i = 0; i < sample.size(); ++i)
    residuals.push_back(sample.ln_l[i] -
                        form->log_loss(best.theta.data(), sample.ln_n[i], sample.ln_d[i], nullptr, nullptr));
  result.law.residual_sd = robust_sd(residuals);
  const double freedom = static_cast<double>(sample.size()) - static_cast<double>(form->parameters.size());
  if (freedom > 0) result.law.residual_sd *= std::sqrt(static_cast<double>(sample.size()) / freedom);

  const int count = std::max(0, options.bootstrap);
  result.resamples.resize(static_cast<size_t>(count));
  const int threads = std::clamp(options.threads, 1, std::max(1, count));
  ThreadPool pool(threads);
  pool.run([&](int thread) {
    for (int b = thread; b < count; b += threads) {
      const std::vector<double> drawn = resample_weights(weights, options.seed, static_cast<uint64_t>(b) + 1);
      const Objective redrawn{*form, sample, drawn, options.huber_delta, objective.prior, objective.prior_weight};
      result.resamples[static_cast<size_t>(b)] = make_law(*form, minimise(redrawn, best.theta, 0.016), sample);
    }
  });
  if (count > 0)
    for (const std::string& name : form->parameters) {
      std::vector<double> values;
      for (const Law& law : result.resamples) values.push_back(law.parameters.at(name));
      result.interval95[name] = {quantile(values, 0.025), quantile(values, 0.975)};
    }
  return result;
}

double Law::loss(double N, double D) const {
  const Form* row = find_form(form);
  if (row == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", form, form_names());
  const Theta theta = row->internal(parameters);
  return std::exp(row->log_loss(theta.data(), std::log(N), std::log(D), nullptr, nullptr));
}

}  // namespace flywheel::scaling
