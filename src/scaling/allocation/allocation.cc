#include "scaling/allocation/allocation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/allocation/optimum_rule.h"

namespace flywheel::scaling {
namespace {

constexpr double kFactors[] = {0.25, 0.5, 2, 4};

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
constexpr int kFrontierPlaces = 17;
struct Frontier {
  std::vector<double> ln_flops, loss;  // loss falls

  // ln FLOPs that reach `wanted`; the lowest of the frontier where less would do.
  double worth(double wanted) const {
    for (size_t i = loss.size(); i-- > 1;)
      if (wanted <= loss[i - 1] && loss[i - 1] > loss[i])
        return ln_flops[i] -
               (ln_flops[i] - ln_flops[i - 1]) * std::log(wanted / loss[i]) / std::log(loss[i - 1] / loss[i]);
    return ln_flops.front();
  }
};

// Value at the vertex of the parabola through three values at equal distances, the middle one the lowest.
double vertex(double left, double middle, double right) {
  const double bend = left - 2 * middle + right;
  return bend > 1e-12 ? middle - (left - right) * (left - right) / (8 * bend) : middle;
}

// Sites about the best sizes of a frontier, and the lowest loss of a surface at each compute of it.
class FrontierSites {
 public:
  FrontierSites(const Loss& loss, const FlopsPerToken& per_token, double flops) {
    for (int i = 0; i < kFrontierPlaces; ++i) {
      const double C = flops * std::pow(kFrontierReach, static_cast<double>(i) / (kFrontierPlaces - 1) - 1);
      if (C <= 10 * per_token(1)) continue;
      mean.ln_flops.push_back(std::log(C));
      const double N = best_size(loss, per_token, C);
      mean.loss.push_back(loss(N, C / per_token(N)));
      for (int k = -kAside; k <= kAside; ++k) {
        const double size = N * std::exp(kStep * k);
        sites.emplace_back(size, C / per_token(size));
      }
    }
  }
  Frontier of(const std::vector<double>& log_losses) const {
    Frontier frontier{mean.ln_flops, {}};
    constexpr size_t kSizes = 2 * kAside + 1;
    for (size_t i = 0; i < mean.loss.size(); ++i) {
      const auto begin = log_losses.begin() + static_cast<std::ptrdiff_t>(i * kSizes);
      const auto best = std::min_element(begin, begin + kSizes);
      const bool inner = best != begin && best + 1 != begin + kSizes;
      frontier.loss.push_back(std::exp(inner ? vertex(best[-1], best[0], best[1]) : *best));
    }
    return frontier;
  }

  Frontier mean;
  std::vector<std::pair<double, double>> sites;

 private:
  static constexpr int kAside = 5;
  static constexpr double kStep = 0.4;  // in ln N
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

Allocation allocate(const OptimumRule& rule, const Forecaster& forecaster, double flops) {
  const FlopsPerToken per_token = [&](double N) { return forecaster.flops_rule().per_token(N); };
  if (!std::isfinite(flops) || flops <= 10 * per_token(1))
    throw_bad_input("a compute budget is a number of FLOPs above {:.3g}, found {}", 10 * per_token(1), flops);
  Allocation result;
  result.flops = flops;
  result.identified = rule.identified;
  result.loss = rule.at(forecaster, flops);
  const double N = result.loss.N, D = result.loss.D;
  result.N = {N, result.loss.N_low, result.loss.N_high};
  const auto tokens = [&](double size) { return flops / per_token(size); };
  result.D = {D, tokens(result.N.high), tokens(result.N.low)};
  result.tokens_per_parameter = {D / N, result.D.low / result.N.high, result.D.high / result.N.low};
  result.compute_multiple_of_plan = {1, 1, 1};
  if (!rule.identified) return result;

  const Loss loss = [&](double size, double length) { return forecaster.loss(size, length); };
  FrontierSites frontier(loss, per_token, flops);
  const size_t first = frontier.sites.size();
  frontier.sites.emplace_back(N, D);
  for (const double factor : kFactors) frontier.sites.emplace_back(N * factor, tokens(N * factor));
  std::vector<double> plan;
  std::vector<std::vector<double>> extra(std::size(kFactors)), multiple(std::size(kFactors));
  for (const std::vector<double>& drawn : forecaster.surfaces(frontier.sites)) {
    const Frontier best = frontier.of(drawn);
    const auto wasted = [&](double log_loss) {
      return std::max(1.0, flops / std::exp(best.worth(std::exp(log_loss))));
    };
    plan.push_back(wasted(drawn[first]));
    for (size_t k = 0; k < std::size(kFactors); ++k) {
      extra[k].push_back(std::max(0.0, std::exp(drawn[first + 1 + k]) - best.loss.back()));
      multiple[k].push_back(wasted(drawn[first + 1 + k]));
    }
  }
  const double best = loss(N, D);
  for (size_t k = 0; k < std::size(kFactors); ++k) {
    const double off = std::max(best, loss(N * kFactors[k], tokens(N * kFactors[k])));
    result.off.push_back({kFactors[k], range_of(off - best, extra[k]),
                          range_of(std::max(1.0, flops / std::exp(frontier.mean.worth(off))), multiple[k])});
  }
  result.compute_multiple_of_plan = range_of(quantile(plan, 0.5), plan);
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
