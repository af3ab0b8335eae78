// How the compute-optimal size grows with compute, N_opt ~ C^a, by the three approaches of Hoffmann et al. 2022
// (section 3), side by side and each with what is known to bias it. Pure functions of points; deterministic for a seed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct LevelMinimum {
  double flops = 0, N = 0;
  double ln_sd = 0;    // of ln N
  bool inner = false;  // false: at the edge of the sizes sampled, left out of the power law
};

struct Approach {
  std::string name;                  // "1 envelope", "2 parabolas", "2 interpolation", "3 parametric"
  double a = 0;                      // exponent of N_opt in C; D_opt grows with 1 - a where C = 6 N D
  double low = 0, high = 0;          // 95%
  double ln_coefficient = 0;         // N_opt = exp(ln_coefficient) C^a; approach 3: at the highest FLOPs fitted
  int used = 0;                      // runs on the envelope, levels with an inner minimum, runs fitted
  std::string missing;               // why there is no number; empty: there is one
  std::string biases;                // known ones, with their papers
  std::vector<LevelMinimum> minima;  // approach 2 only
  bool follows_samples = false;      // of size: says where runs were, not where they might have been better
  double size_at(double flops) const;
};

struct ApproachOptions {
  uint64_t seed = 1;
  int resamples = 1000;
  double noise_sd = 0.002;  // of the loss, for the interpolation (isoflop_akima.h)
};

// 1: the runs that no cheaper run beats, a power law through their sizes. Interval: resampled runs. Points may be final
// runs or points along training curves.
Approach envelope_approach(std::span<const Point> points, const ApproachOptions& options = {});
// 2: a parabola per level (isoflop.h), then a power law weighted by the minima's spreads. Interval: t distribution.
Approach parabola_approach(std::span<const Point> points, const ApproachOptions& options = {});
// 2, by interpolation with noise-aware resamples and a weighted power law (Porian et al. 2024). Interval: the slopes of
// the resamples.
Approach interpolation_approach(std::span<const Point> points, const ApproachOptions& options = {});
// 3: of the fitted law and its resamples, at the highest FLOPs fitted and C = 6 N D: beta / (alpha + beta) for
// chinchilla.
Approach parametric_approach(const Fit& fit);

}  // namespace flywheel::scaling
