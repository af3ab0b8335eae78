#include "evidence/effect_prior.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kParts = kEffectParts;
// Prior weights as pseudo-counts of trials: most changes have almost no effect.
constexpr double kNothing = 6;
constexpr std::array<double, kEffectSizes.size()> kPseudoTrials = {0.5,  0.4,  0.3,  0.2,  0.15, 0.1,
                                                                   0.08, 0.06, 0.05, 0.04, 0.03, 0.02};
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
std::array<double, kParts> pseudo_trials() {
  std::array<double, kParts> counts{kNothing};
  for (size_t k = 1; k < kParts; ++k) counts[k] = kPseudoTrials[(k - 1) / 2];
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

EffectPrior::EffectPrior() {
  learn({});
}

void EffectPrior::learn(std::span<const Evidence> trials) {
  const std::array<double, kParts> pseudo = pseudo_trials();
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
