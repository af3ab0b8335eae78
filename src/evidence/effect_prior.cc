#include "evidence/effect_prior.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kParts = kEffectParts;
// What is believed at first, as pseudo-counts of trials: most changes have almost no effect. Trials with an effect of
// one sign, for each factor of e of its size, which is a share of the loss; straight lines in the logarithm between
// these, nothing beyond. From the screenings of real campaigns, from a weak and from a good recipe, rounded.
constexpr double kNothing = 6;
struct Density {
  double relative, trials;
};
constexpr std::array<Density, 7> kDensity = {
    {{0.0005, 0.5}, {0.0025, 0.7}, {0.0075, 0.7}, {0.02, 0.35}, {0.05, 0.2}, {0.2, 0.07}, {1, 0.02}}};
constexpr double kLeastCount = 1e-4;
constexpr int kCells = 8;                               // of the integral over one part's sizes
constexpr double kNothingSd = 0.1, kRelativeSd = 0.15;  // of a part, the latter as a share of its effect
constexpr int kSteps = 30, kHalvings = 60;
constexpr double kLeastWeight = 1e-9,
                 kSure = 6;      // of a part that is looked at; deviations beyond which its sign is sure
constexpr double kFarthest = 9;  // standard deviations of a part

// About nothing, then below and above for each size.
double part_mean(size_t k) {
  return k == 0 ? 0 : (k % 2 == 1 ? -1 : 1) * kEffectSizes[(k - 1) / 2];
}
double part_sd(size_t k) {
  return k == 0 ? kNothingSd : kRelativeSd * kEffectSizes[(k - 1) / 2];
}
double density_at(double relative) {
  if (relative < kDensity.front().relative || relative > kDensity.back().relative) return 0;
  size_t i = 1;
  while (i + 1 < kDensity.size() && relative > kDensity[i].relative) ++i;
  const Density &low = kDensity[i - 1], &high = kDensity[i];
  const double share = std::log(relative / low.relative) / std::log(high.relative / low.relative);
  return low.trials + share * (high.trials - low.trials);
}
// Pseudo-trials of one sign with sizes between these, in relative loss.
double trials_between(double low, double high) {
  const double step = std::log(high / low) / kCells;
  double sum = 0;
  for (int i = 0; i < kCells; ++i) sum += step * density_at(low * std::exp((i + 0.5) * step));
  return sum;
}
// Sizes below the smallest part's are nothing, those beyond the largest one are counted with it.
std::array<double, kParts> pseudo_trials(double relative_noise) {
  std::array<double, kParts> counts{kNothing};
  double from = kDensity.front().relative;
  for (size_t j = 0; j <= kEffectSizes.size(); ++j) {
    double to = kDensity.back().relative;
    if (j < kEffectSizes.size()) {
      const double below = j == 0 ? 0.5 * kEffectSizes[0] : kEffectSizes[j - 1];
      to = std::min(to, relative_noise * std::sqrt(below * kEffectSizes[j]));
    }
    if (to <= from) continue;
    const double trials = trials_between(from, to);
    if (j == 0)
      counts[0] += 2 * trials;
    else
      counts[2 * j - 1] = counts[2 * j] = trials;
    from = to;
  }
  for (double& count : counts) count = std::max(count, kLeastCount);
  return counts;
}

double log_density(double x, double variance) {
  return -0.5 * (x * x / variance + std::log(variance));
}

void normalise(std::array<double, kParts>& log_weights) {
  const double most = *std::max_element(log_weights.begin(), log_weights.end());
  double total = 0;
  for (double& w : log_weights) total += w = std::exp(w - most);
  for (double& w : log_weights) w /= total;
}

}  // namespace

double EffectPosterior::better() const {
  double sum = 0;
  for (size_t k = 1; k < kParts; ++k) {
    if (weight[k] < kLeastWeight) continue;
    const double z = -mean[k] / sd[k];
    sum += z > kSure ? weight[k] : z < -kSure ? 0 : weight[k] * normal_below(z);
  }
  return sum;
}
double EffectPosterior::expected_gain() const {
  double sum = 0;
  for (size_t k = 1; k < kParts; ++k) {
    if (weight[k] < kLeastWeight) continue;
    const double z = -mean[k] / sd[k];
    if (z < -kSure) continue;
    sum += weight[k] * (z > kSure ? -mean[k] : sd[k] * (z * normal_below(z) + normal_density(z)));
  }
  return sum;
}
double EffectPosterior::centre() const {
  double sum = 0;
  for (size_t k = 0; k < kParts; ++k) sum += weight[k] * mean[k];
  return sum;
}
double EffectPosterior::quantile(double p) const {
  double low = 0, high = 0;
  for (size_t k = 0; k < kParts; ++k) {
    low = std::min(low, mean[k] - kFarthest * sd[k]);
    high = std::max(high, mean[k] + kFarthest * sd[k]);
  }
  for (int step = 0; step < kHalvings; ++step) {
    const double middle = 0.5 * (low + high);
    double below = 0;
    for (size_t k = 0; k < kParts; ++k) below += weight[k] * normal_below((middle - mean[k]) / sd[k]);
    (below < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

EffectPosterior EffectPosterior::updated(double value, double error_variance) const {
  EffectPosterior next;
  for (size_t k = 0; k < kParts; ++k) {
    const double variance = sd[k] * sd[k], total = variance + error_variance;
    next.weight[k] = std::log(std::max(weight[k], 1e-300)) + log_density(value - mean[k], total);
    next.mean[k] = mean[k] + variance / total * (value - mean[k]);
    next.sd[k] = std::sqrt(variance * error_variance / total);
  }
  normalise(next.weight);
  return next;
}

EffectPrior::EffectPrior(double relative_noise) : relative_noise_(relative_noise) {
  learn({});
}

void EffectPrior::learn(std::span<const Evidence> trials) {
  const std::array<double, kParts> pseudo = pseudo_trials(relative_noise_);
  double total = 0;
  for (const double p : pseudo) total += p;
  for (size_t k = 0; k < kParts; ++k) weights_[k] = pseudo[k] / total;
  if (trials.empty()) return;
  // Expectation maximisation of the mixture's weights, the parts fixed.
  std::vector<std::array<double, kParts>> likelihood(trials.size());
  for (size_t t = 0; t < trials.size(); ++t) {
    for (size_t k = 0; k < kParts; ++k)
      likelihood[t][k] = log_density(trials[t].mean - part_mean(k), part_sd(k) * part_sd(k) + trials[t].variance);
    normalise(likelihood[t]);
  }
  for (int step = 0; step < kSteps; ++step) {
    std::array<double, kParts> sums = pseudo;
    for (const auto& trial : likelihood) {
      double all = 0;
      for (size_t k = 0; k < kParts; ++k) all += weights_[k] * trial[k];
      for (size_t k = 0; k < kParts; ++k) sums[k] += weights_[k] * trial[k] / all;
    }
    for (size_t k = 0; k < kParts; ++k) weights_[k] = sums[k] / (total + static_cast<double>(trials.size()));
  }
}

EffectPosterior EffectPrior::prior() const {
  EffectPosterior all;
  all.weight = weights_;
  for (size_t k = 0; k < kParts; ++k) all.mean[k] = part_mean(k), all.sd[k] = part_sd(k);
  return all;
}

EffectPosterior EffectPrior::posterior(const Evidence& evidence) const {
  return prior().updated(evidence.mean, evidence.variance);
}

}  // namespace flywheel::evidence
