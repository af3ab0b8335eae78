// From a fit to forecasts: FLOPs per token, the compute-optimal size, predictions with intervals.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/laws/form.h"
#include "scaling/laws/law.h"
#include "scaling/laws/optimum.h"

namespace flywheel::scaling {
namespace {

// A law ready for many evaluations: the form's row and its internal parameters looked up once.
class Evaluator {
 public:
  explicit Evaluator(const Law& law) : form_(find_form(law.form)) {
    if (form_ == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", law.form, form_names());
    theta_ = form_->internal(law.parameters);
  }
  double log_loss(double ln_n, double ln_d, double ln_flops) const {
    return form_->log_loss(theta_.data(), {ln_n, ln_d, ln_flops, ln_d}, nullptr, nullptr);
  }

 private:
  const Form* form_;
  Theta theta_;
};

void set_interval(const Fit& fit, double ln_n, double ln_d, double flops, Optimum& optimum) {
  const double center = std::log(optimum.loss);
  std::vector<double> spread;
  for (const Law& law : fit.resamples) spread.push_back(Evaluator(law).log_loss(ln_n, ln_d, std::log(flops)));
  const double bootstrap =
      fit.resamples.empty() ? 0 : (quantile(spread, 0.95) - quantile(spread, 0.05)) / (2 * kNormal90);
  const double decades = std::max(0.0, std::log10(flops / fit.highest_flops));
  const double variance = bootstrap * bootstrap + fit.law.residual_sd * fit.law.residual_sd +
                          kDriftSd * kDriftSd * decades + kBiasSd * kBiasSd * decades * decades;
  const double half = kNormal90 * fit.error_inflation * std::sqrt(variance);
  optimum.low = std::exp(center - half);
  optimum.high = std::exp(center + half);
}

}  // namespace

double FlopsRule::per_token(double N) const {
  switch (kind) {
    case Kind::kExcess:
      return N * (6 + std::exp(intercept + slope * std::log(N)));
    case Kind::kPower:
      return N * std::clamp(std::exp(intercept + slope * std::log(N)), lowest, highest);
    case Kind::kSixND:
      break;
  }
  return 6 * N;
}

FlopsRule flops_rule(std::span<const Point> points) {
  FlopsRule rule;
  std::vector<double> x, ratio;
  for (const Point& p : points)
    if (p.C > 0) {
      x.push_back(std::log(p.N));
      ratio.push_back(p.C / (p.N * p.D));
    }
  if (x.empty()) return rule;
  rule.lowest = *std::min_element(ratio.begin(), ratio.end());
  rule.highest = *std::max_element(ratio.begin(), ratio.end());
  if (rule.lowest > 6 * 0.999 && rule.highest < 6 * 1.001) return rule;
  rule.kind = rule.lowest > 6 * 1.001 ? FlopsRule::Kind::kExcess : FlopsRule::Kind::kPower;
  const double n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  std::vector<double> y;
  for (const double r : ratio) y.push_back(std::log(rule.kind == FlopsRule::Kind::kExcess ? r - 6 : r));
  for (size_t i = 0; i < x.size(); ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  rule.slope = xx > 1e-6 ? xy / xx : 0;
  // An excess that grows with size would soon dwarf 6N: noise, or another convention. Hold it instead.
  if (rule.kind == FlopsRule::Kind::kExcess) rule.slope = std::min(rule.slope, 0.0);
  rule.intercept = mean_y - rule.slope * mean_x;
  return rule;
}

Optimum predict(const Fit& fit, double N, double D, double flops) {
  if (!(N > 0) || !(D > 0) || !std::isfinite(N) || !std::isfinite(D) || !(flops >= 0))
    throw_bad_input("a prediction needs N and D above 0, found N = {} and D = {}", N, D);
  Optimum optimum;
  optimum.N = optimum.N_low = optimum.N_high = N;
  optimum.D = D;
  const double spent = flops > 0 ? flops : fit.flops_rule.per_token(N) * D;
  optimum.loss = fit.law.loss(N, D, spent);
  set_interval(fit, std::log(N), std::log(D), spent, optimum);
  return optimum;
}

Optimum compute_optimal(const Fit& fit, double flops) {
  return compute_optimal(fit, flops, [&](double N) { return fit.flops_rule.per_token(N); });
}

Optimum compute_optimal(const Fit& fit, double flops, const std::function<double(double N)>& flops_per_token) {
  if (!(flops > 0) || !std::isfinite(flops)) throw_bad_input("a compute budget is FLOPs above 0, found {}", flops);
  const double ln_flops = std::log(flops);
  const auto best_ln_n = [&](const Law& law, double from, double to, int steps) {
    const Evaluator evaluator(law);
    return minimum_of(
        [&](double ln_n) {
          return evaluator.log_loss(ln_n, ln_flops - std::log(flops_per_token(std::exp(ln_n))), ln_flops);
        },
        from, to, steps);
  };
  const double best = best_ln_n(fit.law, 0, ln_flops - std::log(6.0), 100);
  Optimum optimum;
  optimum.N = std::exp(best);
  optimum.D = flops / flops_per_token(optimum.N);
  optimum.loss = fit.law.loss(optimum.N, optimum.D, flops);
  set_interval(fit, best, std::log(optimum.D), flops, optimum);
  std::vector<double> sizes;
  for (const Law& law : fit.resamples) sizes.push_back(best_ln_n(law, std::max(0.0, best - 5), best + 5, 10));
  optimum.N_low = sizes.empty() ? optimum.N : std::exp(quantile(sizes, 0.05));
  optimum.N_high = sizes.empty() ? optimum.N : std::exp(quantile(sizes, 0.95));
  return optimum;
}

}  // namespace flywheel::scaling
