#include "scaling/laws/form_weights.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <set>

#include "base/error.h"
#include "scaling/laws/form.h"

namespace flywheel::scaling {
namespace {

// ln of the integral of exp(-huber(r) / (delta b)) over r.
double log_normaliser(double b, double delta) {
  const double u = delta / (2 * b);
  const double inner = std::sqrt(2 * std::numbers::pi * delta * b) * std::erf(std::sqrt(u));
  return std::log(inner + 2 * b * std::exp(-u));
}

std::string why_not(const Form& form, std::span<const Point> points) {
  std::set<std::pair<int64_t, int64_t>> cells;
  std::set<int64_t> sizes, lengths;
  bool repeats = false, knows_unique = false;
  for (const Point& p : points) {
    const int64_t n = std::llround(200 * std::log(p.N)), d = std::llround(200 * std::log(p.D));
    cells.emplace(n, d);
    sizes.insert(n);
    lengths.insert(d);
    knows_unique = knows_unique || p.U > 0;
    repeats = repeats || (p.U > 0 && p.U < p.D * 0.999);
  }
  if (form.sees == Form::Sees::kUniqueTokens) {
    if (!knows_unique) return "needs a column of unique tokens (U, unique_tokens) or epochs";
    if (!repeats)
      return "no run trains on its tokens more than once, so repeats cannot be told; add runs of several epochs";
  }
  const size_t found = form.sees == Form::Sees::kCompute ? compute_levels(points).size() : cells.size();
  if (found <= form.parameters.size() + 1)
    return fmt::format("{} parameters and a scale need more than {} different {}, found {}", form.parameters.size(),
                       form.parameters.size() + 1, form.sees == Form::Sees::kCompute ? "compute levels" : "(N, D)",
                       found);
  if (form.sees != Form::Sees::kCompute && (sizes.size() < 3 || lengths.size() < 3))
    return fmt::format("needs at least 3 sizes and 3 training lengths, found {} and {}", sizes.size(), lengths.size());
  return "";
}

void set_weights(std::vector<FormFit>& fits, RunsFitted runs) {
  double lowest = INFINITY, total = 0;
  for (const FormFit& f : fits)
    if (f.left_out.empty() && f.runs == runs) lowest = std::min(lowest, f.aicc);
  for (FormFit& f : fits) {
    if (!f.left_out.empty() || f.runs != runs) continue;
    f.weight = std::isfinite(f.aicc) ? std::exp(-0.5 * (f.aicc - lowest)) : 0;
    total += f.weight;
  }
  for (FormFit& f : fits)
    if (f.runs == runs && total > 0) f.weight /= total;
}

}  // namespace

std::string_view name_of(RunsFitted runs) {
  return runs == RunsFitted::kAll ? "all" : "frontier";
}

double aicc(double objective, double huber_delta, double runs, int parameters) {
  const double k = parameters + 1;
  if (!(runs > k + 1)) return INFINITY;
  const double mean = std::max(objective / runs, 1e-18);
  const auto deviance = [&](double ln_b) {
    const double b = std::exp(ln_b);
    return 2 * runs * (log_normaliser(b, huber_delta) + mean / (huber_delta * b));
  };
  // Unimodal in ln b between the scales of a Gaussian and of a Laplace density.
  double low = std::log(mean / huber_delta) - 2, high = low + 6;
  for (int i = 0; i < 100; ++i) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    if (deviance(a) < deviance(b))
      high = b;
    else
      low = a;
  }
  return deviance(0.5 * (low + high)) + 2 * k + 2 * k * (k + 1) / (runs - k - 1);
}

std::vector<std::string> all_form_names() {
  std::vector<std::string> names;
  for (const Form* form : all_forms()) names.emplace_back(form->name);
  return names;
}

std::vector<FormFit> fit_forms(std::span<const Point> points, const FitOptions& options,
                               std::span<const std::string> names) {
  std::vector<FormFit> fits;
  for (const std::string& name : names) {
    const Form* form = find_form(name);
    if (form == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", name, form_names());
    if (std::any_of(fits.begin(), fits.end(), [&](const FormFit& f) { return f.form == name; }))
      throw_bad_input("form \"{}\" is named twice", name);
    FormFit one;
    one.form = name;
    if (form->sees == Form::Sees::kCompute && options.compute_sees_frontier) one.runs = RunsFitted::kFrontier;
    if (!fits.empty()) one.left_out = why_not(*form, points);
    if (one.left_out.empty()) {
      FitOptions with = options;
      with.form = name;
      const auto start = std::chrono::steady_clock::now();
      one.fit = fit(points, with);
      one.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      double runs = one.fit.law.points;
      if (one.runs == RunsFitted::kAll) {
        runs = 0;
        for (const Point& p : points) runs += p.count;
      }
      one.aicc = aicc(one.fit.law.objective, options.huber_delta, runs, static_cast<int>(form->parameters.size()));
    }
    fits.push_back(std::move(one));
  }
  set_weights(fits, RunsFitted::kAll);
  set_weights(fits, RunsFitted::kFrontier);
  return fits;
}

double averaged_loss(std::span<const FormFit> fits, double N, double D, double flops, double unique_tokens) {
  double sum = 0, weights = 0;
  for (const FormFit& f : fits)
    if (f.left_out.empty() && f.runs == RunsFitted::kAll && f.weight > 0) {
      sum += f.weight * f.fit.law.loss(N, D, flops, unique_tokens);
      weights += f.weight;
    }
  if (weights > 0) return sum / weights;
  if (fits.empty()) throw_bad_input("an averaged prediction needs a fit, found none");
  return fits.front().fit.law.loss(N, D, flops, unique_tokens);
}

}  // namespace flywheel::scaling
