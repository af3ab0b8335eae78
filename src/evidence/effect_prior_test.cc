#include "evidence/effect_prior.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace flywheel::evidence {
namespace {

// Prior probability of effects of at least this share of the loss, either sign.
double share_beyond(double relative, double relative_noise) {
  const EffectPosterior prior = EffectPrior(relative_noise).prior();
  double sum = 0;
  for (size_t k = 0; k < kEffectParts; ++k)
    if (std::abs(prior.mean[k]) * relative_noise >= relative) sum += prior.weight[k];
  return sum;
}

TEST(EffectPrior, WhatIsBelievedAtFirstIsAboutTheLossAndNotAboutItsNoise) {
  for (const double noise : {0.0003, 0.001, 0.005, 0.02}) {
    const EffectPrior prior(noise);
    const auto& weights = prior.weights();
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-9);
    // Cells are as wide as a factor of two there.
    EXPECT_NEAR(share_beyond(0.1, noise), share_beyond(0.1, kUsualNoise), 0.02) << noise;
  }
  // In noise floors a quiet base has far larger effects to expect.
  EXPECT_GT(EffectPrior(0.0005).prior().expected_gain(), 5 * EffectPrior(0.01).prior().expected_gain());
}

TEST(EffectPrior, AGainOfHundredsOfNoiseFloorsIsBelieved) {
  const EffectPosterior seen = EffectPrior(0.0005).posterior({-270, 1.1});
  EXPECT_GT(seen.better(), 0.999);
  EXPECT_NEAR(seen.expected_gain(), 270, 5);
}

TEST(EffectPrior, TrialsMoveItTowardsWhatTheySaw) {
  EffectPrior prior;
  const double before = prior.prior().expected_gain();
  const std::vector<Evidence> large(40, {-6, 1.1}), none(40, {0, 1.1});
  prior.learn(large);
  EXPECT_GT(prior.prior().expected_gain(), 2 * before);
  prior.learn(none);
  EXPECT_LT(prior.prior().expected_gain(), before);
}

}  // namespace
}  // namespace flywheel::evidence
