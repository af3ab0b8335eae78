// The prior of a change's effect, estimated from the changes tried so far (empirical Bayes): a mixture of narrow
// normals about nothing and about effects of either sign on a grid, whose weights are estimated from the screening
// results (nonparametric maximum likelihood on a grid, with a penalty that favours nothing: Koenker and Mizera 2014;
// Stephens 2017, section 3.1). Effects are candidate minus base: below 0 is better. Units: the noise floor, the
// standard deviation of one run. What is believed before the first trial is about relative losses, since what a change
// does to a loss does not depend on how noisy the base happens to be: real effects were up to 270 noise floors of a
// quiet one. Pure.
#pragma once

#include <array>
#include <span>

namespace flywheel::evidence {

// Of the parts but that about nothing; each has a part on either side.
inline constexpr std::array<double, 14> kEffectSizes = {0.5, 1, 1.5, 2, 3, 4, 6, 10, 16, 32, 64, 128, 256, 512};
inline constexpr size_t kEffectParts = 1 + 2 * kEffectSizes.size();

// Mean of some differences, and the variance of that mean.
struct Evidence {
  double mean = 0, variance = 0;
};

inline constexpr double kUsualNoise = 0.005;  // as a share of the loss

struct EffectPosterior {
  std::array<double, kEffectParts> weight{}, mean{}, sd{};
  double better() const;            // probability of an effect below 0 that is not nothing
  double expected_gain() const;     // expectation of max(0, -effect), nothing counted as 0
  double centre() const;            // expectation of the effect
  double quantile(double p) const;  // of the effect; p in (0, 1)
  // The posterior after a further measurement of `value` with this error variance.
  EffectPosterior updated(double value, double error_variance) const;
};

class EffectPrior {
 public:
  // `relative_noise`: the noise floor as a share of the loss.
  explicit EffectPrior(double relative_noise = kUsualNoise);
  void set_relative_noise(double relative_noise) { relative_noise_ = relative_noise; }
  // Estimates the weights from all trials so far, starting from the prior weights.
  void learn(std::span<const Evidence> trials);
  EffectPosterior prior() const;
  EffectPosterior posterior(const Evidence& evidence) const;
  const std::array<double, kEffectParts>& weights() const { return weights_; }

 private:
  double relative_noise_;
  std::array<double, kEffectParts> weights_;
};

}  // namespace flywheel::evidence
