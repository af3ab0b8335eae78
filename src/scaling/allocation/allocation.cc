#include "scaling/allocation/allocation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

constexpr double kFactors[] = {0.25, 0.5, 2, 4};
constexpr size_t kFrontierResamples = 200;  // for what needs a frontier of each

// Lowest place of `f` on [low, high]: a scan, since f may be infinite at the ends, then golden section.
template <typename F>
double minimise_scalar(const F& f, double low, double high, int places) {
  double best = low, lowest = INFINITY;
  const double step = (high - low) / places;
  for (int i = 0; i <= places; ++i) {
    const double x = low + step * i, value = f(x);
    if (value < lowest) lowest = value, best = x;
  }
  double a = std::max(low, best - step), b = std::min(high, best + step);
  constexpr double kGolden = 0.6180339887498949;
  double left = b - kGolden * (b - a), right = a + kGolden * (b - a), at_left = f(left), at_right = f(right);
  while (b - a > 1e-7) {
    if (at_left <= at_right) {
      b = right, right = left, at_right = at_left;
      left = b - kGolden * (b - a), at_left = f(left);
    } else {
      a = left, left = right, at_left = at_right;
      right = a + kGolden * (b - a), at_right = f(right);
    }
  }
  return 0.5 * (a + b);
}

// Least loss against compute below one budget, to convert a loss into the compute that reaches it.
struct Frontier {
  std::vector<double> ln_flops, loss;  // loss falls

  Frontier(const Loss& law, const FlopsPerToken& per_token, double flops) {
    constexpr int kPlaces = 17;
    constexpr double kReach = 200;  // times less compute
    for (int i = 0; i < kPlaces; ++i) {
      const double C = flops * std::pow(kReach, static_cast<double>(i) / (kPlaces - 1) - 1);
      if (C <= 10 * per_token(1)) continue;
      const double N = best_size(law, per_token, C);
      ln_flops.push_back(std::log(C));
      loss.push_back(law(N, C / per_token(N)));
    }
  }
  // ln FLOPs that reach `wanted`; the lowest of the frontier where less would do.
  double worth(double wanted) const {
    for (size_t i = loss.size(); i-- > 1;)
      if (wanted <= loss[i - 1] && loss[i - 1] > loss[i])
        return ln_flops[i] -
               (ln_flops[i] - ln_flops[i - 1]) * std::log(wanted / loss[i]) / std::log(loss[i - 1] / loss[i]);
    return ln_flops.front();
  }
};

Range range_of(double value, const std::vector<double>& resampled) {
  if (resampled.empty()) return {value, value, value};
  return {value, std::min(value, quantile(resampled, 0.05)), std::max(value, quantile(resampled, 0.95))};
}

}  // namespace

Loss loss_of(const Law& law) {
  return [law](double N, double D) { return law.loss(N, D); };
}

double best_size(const Loss& loss, const FlopsPerToken& per_token, double flops) {
  const auto at = [&](double ln_n) {
    const double N = std::exp(ln_n), D = flops / per_token(N);
    return D >= 1 ? loss(N, D) : INFINITY;
  };
  return std::exp(minimise_scalar(at, 0, std::log(flops / per_token(1)), 48));
}

Allocation allocate(const Fit& fit, double flops, const Predictor& predictor) {
  const FlopsPerToken per_token = [&](double N) { return fit.flops_rule.per_token(N); };
  if (!std::isfinite(flops) || flops <= 10 * per_token(1))
    throw_bad_input("a compute budget is a number of FLOPs above {:.3g}, found {}", 10 * per_token(1), flops);
  const Loss loss = loss_of(fit.law);
  Allocation result;
  result.flops = flops;
  const double N = best_size(loss, per_token, flops), D = flops / per_token(N);
  result.loss = predictor ? predictor(N, D) : predict(fit, N, D, flops);

  const auto off_loss = [&](const Loss& law, double size) {
    const double tokens = flops / per_token(size);
    return tokens >= 1 && size >= 1 ? law(size, tokens) : INFINITY;
  };
  std::vector<double> sizes, tokens, ratios, plan;
  std::vector<std::vector<double>> extra(std::size(kFactors)), multiple(std::size(kFactors));
  for (size_t r = 0; r < std::min(fit.resamples.size(), kFrontierResamples); ++r) {
    const Loss law = loss_of(fit.resamples[r]);
    const double size = best_size(law, per_token, flops);
    sizes.push_back(size);
    tokens.push_back(flops / per_token(size));
    ratios.push_back(tokens.back() / size);
    const Frontier frontier(law, per_token, flops);
    const double best = off_loss(law, size);
    for (size_t k = 0; k < std::size(kFactors); ++k) {
      const double off = off_loss(law, size * kFactors[k]);
      extra[k].push_back(off - best);
      multiple[k].push_back(flops / std::exp(frontier.worth(off)));
    }
    plan.push_back(std::max(1.0, flops / std::exp(frontier.worth(off_loss(law, N)))));
  }
  result.N = range_of(N, sizes);
  result.D = range_of(D, tokens);
  result.tokens_per_parameter = range_of(D / N, ratios);
  const Frontier frontier(loss, per_token, flops);
  const double best = loss(N, D);
  for (size_t k = 0; k < std::size(kFactors); ++k) {
    const double off = off_loss(loss, N * kFactors[k]);
    result.off.push_back(
        {kFactors[k], range_of(off - best, extra[k]), range_of(flops / std::exp(frontier.worth(off)), multiple[k])});
  }
  result.compute_multiple_of_plan = range_of(plan.empty() ? 1 : quantile(plan, 0.5), plan);
  return result;
}

Served cheapest_at_loss(const Loss& loss, const FlopsPerToken& per_token, double target_loss, double inference_tokens) {
  constexpr double kMostTokens = 1e24, kLargest = 1e18;
  // Loss falls in D: bisection in ln D; infinite where this size never gets there.
  const auto tokens_for = [&](double N) {
    if (!(loss(N, kMostTokens) <= target_loss)) return static_cast<double>(INFINITY);
    double low = 0, high = std::log(kMostTokens);
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + high);
      (loss(N, std::exp(middle)) <= target_loss ? high : low) = middle;
    }
    return std::exp(high);
  };
  const auto cost = [&](double ln_n) {
    const double N = std::exp(ln_n);
    return per_token(N) * (tokens_for(N) + inference_tokens / 3);
  };
  const double N = std::exp(minimise_scalar(cost, 0, std::log(kLargest), 160));
  const double D = tokens_for(N);
  if (!std::isfinite(D)) return {};
  return {N, D, loss(N, D), per_token(N) * D, per_token(N) * inference_tokens / 3};
}

Served best_at_total(const Loss& loss, const FlopsPerToken& per_token, double flops, double inference_tokens) {
  const auto tokens_left = [&](double N) { return flops / per_token(N) - inference_tokens / 3; };
  if (!(tokens_left(1) >= 1)) return {};
  const auto at = [&](double ln_n) {
    const double N = std::exp(ln_n), D = tokens_left(N);
    return D >= 1 ? loss(N, D) : INFINITY;
  };
  const double N = std::exp(minimise_scalar(at, 0, std::log(flops / per_token(1)), 160));
  const double D = tokens_left(N);
  return {N, D, loss(N, D), per_token(N) * D, per_token(N) * inference_tokens / 3};
}

}  // namespace flywheel::scaling
