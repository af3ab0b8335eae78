// The fit and its bootstrap.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "base/thread_pool.h"
#include "scaling/laws/identified.h"
#include "scaling/laws/law.h"
#include "scaling/laws/minimise.h"

namespace flywheel::scaling {
namespace {

// The prior speaks in units of log loss: a normal prior on the parameters against absolute errors of about this size.
constexpr double kPriorNoise = 0.003;
// A resample starts from the optimum of all runs, its delta falling from here.
constexpr double kResampleFirstDelta = 0.004;

size_t distinct(const std::vector<double>& logs) {
  std::set<int64_t> seen;
  for (const double x : logs) seen.insert(std::llround(x * 200));
  return seen.size();
}

// Residual spread of ln D about its regression on ln N: without it the exponents trade against each other.
double spread_beside_size(const Sample& sample) {
  const double n = static_cast<double>(sample.size());
  double mean_n = 0, mean_d = 0, nn = 0, nd = 0, dd = 0;
  for (size_t i = 0; i < sample.size(); ++i) mean_n += sample.ln_n[i] / n, mean_d += sample.ln_d[i] / n;
  for (size_t i = 0; i < sample.size(); ++i) {
    const double x = sample.ln_n[i] - mean_n, y = sample.ln_d[i] - mean_d;
    nn += x * x, nd += x * y, dd += y * y;
  }
  return nn > 0 && dd > 0 ? std::sqrt(std::max(0.0, dd - nd * nd / nn) / n) : 1;
}

// What the runs cannot tell, in words.
void find_gaps(const Sample& sample, const Form& form, Fit& fit) {
  const auto unidentified = [&](std::string warning) {
    fit.identified = false;
    fit.warnings.push_back(std::move(warning));
  };
  const size_t parameters = form.parameters.size();
  if (form.sees == Form::Sees::kCompute) {
    const size_t levels = distinct(sample.ln_c);
    if (levels <= parameters)
      unidentified(
          fmt::format("{} compute levels for {} parameters of {}: the prior decides the rest; add at least {} "
                      "levels of other compute",
                      levels, parameters, form.name, parameters + 1 - levels));
    return;
  }
  std::set<std::pair<int64_t, int64_t>> cells;
  for (size_t i = 0; i < sample.size(); ++i)
    cells.emplace(std::llround(sample.ln_n[i] * 200), std::llround(sample.ln_d[i] * 200));
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
  if (sample.size() > 2 && spread_beside_size(sample) < 0.1)
    unidentified(
        "tokens follow size throughout (D is a function of N): alpha and beta cannot be told apart; at one compute "
        "level, add runs that are 2x larger and shorter, and 2x smaller and longer");
}

std::vector<double> run_weights(std::span<const Point> points, double highest_flops, const FitOptions& options) {
  std::vector<double> weights;
  for (const Point& point : points)
    weights.push_back(point.count * std::pow(flops_of(point) / highest_flops, options.focus));
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

// The runs drawn with replacement, each once with its weight times how often it came. `drawn` is reused.
void resample(const Sample& sample, uint64_t seed, uint64_t number, std::vector<int>& times, Sample& drawn) {
  Rng rng(seed, number);
  times.assign(sample.size(), 0);
  for (size_t i = 0; i < sample.size(); ++i) ++times[rng.below(sample.size())];
  drawn.clear();
  for (size_t i = 0; i < sample.size(); ++i)
    if (times[i] > 0) drawn.add(sample.run(i), sample.ln_l[i], times[i] * sample.weight[i]);
}

// The points that a form fits: all, or the best of each compute level.
std::vector<Point> seen_by(const Form& form, std::span<const Point> points, bool frontier) {
  if (form.sees != Form::Sees::kCompute || !frontier) return {points.begin(), points.end()};
  std::vector<Point> best;
  for (const std::vector<size_t>& level : compute_levels(points)) {
    const size_t lowest =
        *std::min_element(level.begin(), level.end(), [&](size_t a, size_t b) { return points[a].L < points[b].L; });
    best.push_back(points[lowest]);
  }
  return best;
}

// As many parameters as different runs, or more, are all held by the prior.
void judge_parameters(const Form& form, const Theta& theta, const Sample& sample, Fit& fit) {
  std::set<std::array<int64_t, 3>> different;
  const auto cell = [](double ln) { return std::llround(ln * 200); };
  for (size_t i = 0; i < sample.size(); ++i)
    different.insert({form.sees == Form::Sees::kCompute ? 0 : cell(sample.ln_n[i]),
                      form.sees == Form::Sees::kCompute ? 0 : cell(sample.ln_d[i]), cell(sample.ln_c[i])});
  if (different.size() <= form.parameters.size())
    for (const Parameter& parameter : form.parameters)
      fit.not_identified[parameter.name] =
          fmt::format("{} different runs for {} parameters", different.size(), form.parameters.size());
  else
    fit.not_identified = not_identified(form, theta, sample, fit.law.residual_sd);
  for (const char* exponent : {"alpha", "beta", "gamma"})
    if (const auto why = fit.not_identified.find(exponent); why != fit.not_identified.end() && fit.identified) {
      fit.identified = false;
      fit.warnings.push_back(fmt::format("{} of {} is not identified: {}", exponent, form.name, why->second));
    }
}

double residual_sd(const Form& form, const Theta& theta, const Sample& sample) {
  std::vector<double> residuals;
  for (size_t i = 0; i < sample.size(); ++i)
    residuals.push_back(sample.ln_l[i] - form.log_loss(theta.data(), sample.run(i), nullptr, nullptr));
  const double n = static_cast<double>(sample.size()), freedom = n - static_cast<double>(theta.size());
  return robust_sd(residuals) * (freedom > 0 ? std::sqrt(n / freedom) : 1);
}

// Numbers of the resample b depend on the seed and b alone, whatever thread works on it.
std::vector<Law> bootstrap(const Objective& objective, const Theta& best, const FitOptions& options) {
  const int count = std::max(0, options.bootstrap), threads = std::clamp(options.threads, 1, std::max(1, count));
  std::vector<Law> laws(static_cast<size_t>(count));
  ThreadPool pool(threads);
  pool.run([&](int thread) {
    Sample drawn;
    std::vector<int> times;
    for (int b = thread; b < count; b += threads) {
      resample(objective.sample, options.seed, static_cast<uint64_t>(b) + 1, times, drawn);
      const Objective redrawn{objective.form, drawn, objective.huber_delta, objective.prior, objective.prior_weight};
      const Minimum minimum = minimise(redrawn, best, kResampleFirstDelta, Effort::kResample);
      laws[static_cast<size_t>(b)] = make_law(objective.form, minimum, objective.sample);
    }
  });
  return laws;
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
    if (!std::isfinite(p.U) || p.U < 0)
      throw_bad_input("run {}: U (unique tokens) is {}, expected a finite number, 0 or more", i + 1, p.U);
    require("the count of runs", p.count);
  }
}

FitOptions published_options() {
  FitOptions options;
  options.focus = 0;
  options.frontier_width = 0;
  options.prior = 0;
  return options;
}

Run run_of(const Point& p) {
  const double ln_d = std::log(p.D);
  return {std::log(p.N), ln_d, std::log(flops_of(p)), p.U > 0 ? std::min(ln_d, std::log(p.U)) : ln_d};
}

double flops_of(const Point& point) {
  return point.C > 0 ? point.C : 6 * point.N * point.D;
}

Fit fit(std::span<const Point> all_points, const FitOptions& options) {
  const Form* form = find_form(options.form);
  if (form == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", options.form, form_names());
  if (!(options.huber_delta > 0))
    throw_bad_input("the Huber delta is {}, expected a number above 0", options.huber_delta);
  check_points(all_points);

  Fit result;
  const std::vector<Point> points = seen_by(*form, all_points, options.compute_sees_frontier);
  for (const Point& point : points) result.highest_flops = std::max(result.highest_flops, flops_of(point));
  const std::vector<double> weights = run_weights(points, result.highest_flops, options);
  Sample sample;
  for (size_t i = 0; i < points.size(); ++i) sample.add(run_of(points[i]), std::log(points[i].L), weights[i]);
  result.flops_rule = flops_rule(all_points);
  find_gaps(sample, *form, result);

  // A singular problem gets the prior in any case: numbers that can be read, with identified = false.
  const double strength = result.identified ? options.prior : std::max(options.prior, 1.0);
  const Objective objective{*form, sample, options.huber_delta,
                            strength > 0 ? form->prior(sample) : std::vector<PriorTerm>{},
                            strength * options.huber_delta * kPriorNoise};
  const Minimum best = minimise_globally(objective);
  if (best.theta.empty()) throw_failed("no start of the form {} gives a finite loss on these runs", form->name);
  result.law = make_law(*form, best, sample);
  result.law.residual_sd = residual_sd(*form, best.theta, sample);
  result.starts = best.starts;
  judge_parameters(*form, best.theta, sample, result);
  result.resamples = bootstrap(objective, best.theta, options);
  if (!result.resamples.empty())
    for (const Parameter& parameter : form->parameters) {
      if (result.not_identified.contains(parameter.name)) continue;
      std::vector<double> values;
      for (const Law& law : result.resamples) values.push_back(law.parameters.at(parameter.name));
      const std::pair<double, double> range = {quantile(values, 0.025), quantile(values, 0.975)};
      // Resamples scattered over orders of the term, as it acts on the loss, leave nothing known of its amplitude.
      const auto kappa = result.law.parameters.find("kappa");
      const double outer = kappa == result.law.parameters.end() ? 1 : kappa->second;
      constexpr double kMostOrders = 6;
      if (parameter.log && !(outer * std::log10(range.second / range.first) <= kMostOrders))
        result.not_identified[parameter.name] =
            fmt::format("resamples scatter over {:.2g} to {:.2g}", range.first, range.second);
      else
        result.interval95[parameter.name] = range;
    }
  return result;
}

double Law::loss(double N, double D, double flops, double unique_tokens) const {
  const Form* row = find_form(form);
  if (row == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", form, form_names());
  const Theta theta = row->internal(parameters);
  return std::exp(row->log_loss(theta.data(), run_of({N, D, 1, flops, unique_tokens}), nullptr, nullptr));
}

}  // namespace flywheel::scaling
