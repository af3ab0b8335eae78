// Simulation of `flywheel compare` on synthetic pairs of runs whose true difference is known: how often each verdict is
// given, and whether the budget that an undecided comparison asks for is the one that it takes. Pure.
//
// Losses follow C^slope on both rungs. Noise is that of a pair's difference, in units of what the smallest effect of
// interest is worth in loss.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "evidence/paired_comparison.h"
#include "protocol/names.h"

namespace flywheel::evidence {

enum class NoiseShape { kNormal, kHeavyTails, kSkewed };
inline constexpr protocol::Named<NoiseShape> kNoiseShapeNames[] = {
    {NoiseShape::kNormal, "normal"}, {NoiseShape::kHeavyTails, "heavy_tails"}, {NoiseShape::kSkewed, "skewed"}};
constexpr std::span<const protocol::Named<NoiseShape>> names(NoiseShape) {
  return kNoiseShapeNames;
}

struct ComparisonWorld {
  int comparisons = 1000;
  int pairs = 12;                  // on each rung, that the budget holds
  std::array<double, 2> effect{};  // of the candidate on each rung, as a share of compute; above 0: better
  double noise = 1;                // standard deviation of a difference
  NoiseShape shape = NoiseShape::kNormal;
  double base_failures = 0, candidate_failures = 0;  // probability that a run fails
  int most_times = 40;  // how far beyond its budget an undecided one is followed; 0: not at all
  ComparisonOptions options{};
  uint64_t seed = 1;
};

struct ComparisonScore {
  int comparisons = 0, better = 0, worse = 0, no_difference = 0, undecided = 0;  // within the budget
  double mean_pairs = 0;                                                         // of both rungs, spent
  double median_bound_worth = 0;  // of those that end undecided or with no difference
  // Of the undecided ones that more pairs decided: what was forecast over what it took, and whether the verdict was the
  // one expected.
  int followed = 0, followed_decided = 0, as_expected = 0;
  std::array<double, 3> forecast_over_actual{};  // 10%, 50% and 90%
  double median_forecast = 0, median_actual = 0;
};
ComparisonScore simulate_comparisons(const ComparisonWorld& world);

}  // namespace flywheel::evidence
