#include "evidence/effect_prior.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kParts = kEffectSpreads.size();
// Prior weights as pseudo-counts of trials: most changes have almost no effect.
constexpr std::array<double, kParts> kPseudoTrials = {6, 3, 2, 1.2, 0.6, 0.2};
constexpr int kSteps = 30;

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
  for (size_t k = 0; k < kParts; ++k) sum += weight[k] * normal_below(-mean[k] / sd[k]);
  return sum;
}
double EffectPosterior::expected_gain() const {
  double sum = 0;
  for (size_t k = 0; k < kParts; ++k) {
    const double z = -mean[k] / sd[k];
    sum += weight[k] * sd[k] * (z * normal_below(z) + normal_density(z));
  }
  return sum;
}
double EffectPosterior::centre() const {
  double sum = 0;
  for (size_t k = 0; k < kParts; ++k) sum += weight[k] * mean[k];
  return sum;
}
double EffectPosterior::variance() const {
  double second = 0;
  for (size_t k = 0; k < kParts; ++k) second += weight[k] * (mean[k] * mean[k] + sd[k] * sd[k]);
  return second - centre() * centre();
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
  double total = 0;
  for (const double p : kPseudoTrials) total += p;
  for (size_t k = 0; k < kParts; ++k) weights_[k] = kPseudoTrials[k] / total;
  if (trials.empty()) return;
  // Expectation maximisation of the mixture's weights, the spreads fixed.
  for (int step = 0; step < kSteps; ++step) {
    std::array<double, kParts> sums = kPseudoTrials;
    for (const Evidence& trial : trials) {
      std::array<double, kParts> share;
      for (size_t k = 0; k < kParts; ++k)
        share[k] =
            std::log(weights_[k]) + log_density(trial.mean, kEffectSpreads[k] * kEffectSpreads[k] + trial.variance);
      normalise(share);
      for (size_t k = 0; k < kParts; ++k) sums[k] += share[k];
    }
    for (size_t k = 0; k < kParts; ++k) weights_[k] = sums[k] / (total + static_cast<double>(trials.size()));
  }
}

EffectPosterior EffectPrior::prior() const {
  EffectPosterior all;
  all.weight = weights_;
  all.sd = kEffectSpreads;
  return all;
}

EffectPosterior EffectPrior::posterior(const Evidence& evidence) const {
  return prior().updated(evidence.mean, evidence.variance);
}

}  // namespace flywheel::evidence
