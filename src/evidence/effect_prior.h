// The prior of a change's effect, estimated from the changes tried so far (empirical Bayes): a mixture of normals about
// 0 with a grid of spreads, whose weights are estimated from the screening results (adaptive shrinkage, Stephens 2017,
// sections 2 and 3.1). Effects are candidate minus base: below 0 is better. Units: the noise floor, the standard
// deviation of one run. Pure.
#pragma once

#include <array>
#include <span>

namespace flywheel::evidence {

inline constexpr std::array<double, 6> kEffectSpreads = {0.1, 0.5, 1, 2, 4, 8};

// Mean of some differences, and the variance of that mean.
struct Evidence {
  double mean = 0, variance = 0;
};

struct EffectPosterior {
  std::array<double, kEffectSpreads.size()> weight{}, mean{}, sd{};
  double better() const;         // probability of an effect below 0
  double expected_gain() const;  // expectation of max(0, -effect)
  double centre() const;         // expectation of the effect
  double variance() const;
  // The posterior after a further measurement of `value` with this error variance.
  EffectPosterior updated(double value, double error_variance) const;
};

class EffectPrior {
 public:
  EffectPrior();
  // Estimates the weights from all trials so far, starting from the prior weights.
  void learn(std::span<const Evidence> trials);
  EffectPosterior prior() const;
  EffectPosterior posterior(const Evidence& evidence) const;
  const std::array<double, kEffectSpreads.size()>& weights() const { return weights_; }

 private:
  std::array<double, kEffectSpreads.size()> weights_;
};

}  // namespace flywheel::evidence
