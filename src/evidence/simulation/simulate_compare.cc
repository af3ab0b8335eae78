#include "evidence/simulation/simulate_compare.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

constexpr double kLoss = 3, kSlope = -0.08, kLowFlops = 1e10, kHighFlops = 4e10;
constexpr double kNextLook = 0.01;  // beyond the budget, after so much larger a share of the pairs

// Of variance 1 and mean 0.
double noise_of(NoiseShape shape, Rng& rng) {
  const double z = rng.normal();
  switch (shape) {
    case NoiseShape::kNormal:
      break;
    case NoiseShape::kHeavyTails: {  // Student's t with 4 degrees of freedom
      double squares = 0;
      for (int i = 0; i < 4; ++i) squares += std::pow(rng.normal(), 2);
      return z / std::sqrt(squares / 4) / std::sqrt(2.0);
    }
    case NoiseShape::kSkewed:  // exponential
      return -std::log(1 - rng.uniform()) - 1;
  }
  return z;
}

void add_pair(const ComparisonWorld& world, int pair, Rng& rng, PairedComparison& comparison) {
  const auto rung = static_cast<size_t>(pair % 2);
  const double loss = kLoss * std::pow(rung == 0 ? 1 : kHighFlops / kLowFlops, kSlope);
  const double unit = loss * -std::expm1(kSlope * std::log1p(world.options.smallest_effect));
  const double sd = world.noise * unit / std::sqrt(2.0);
  const double base = loss + sd * noise_of(world.shape, rng);
  const double candidate = loss * std::pow(1 + world.effect[rung], kSlope) + sd * noise_of(world.shape, rng);
  const bool base_fails = rng.uniform() < world.base_failures,
             candidate_fails = rng.uniform() < world.candidate_failures;
  using Failed = PairedComparison::Failed;
  if (base_fails || candidate_fails)
    comparison.add_failure(rung,
                           !base_fails       ? Failed::kCandidate
                           : candidate_fails ? Failed::kBoth
                                             : Failed::kBase,
                           "diverged");
  else
    comparison.add(rung, base, candidate);
}

}  // namespace

ComparisonScore simulate_comparisons(const ComparisonWorld& world) {
  ComparisonScore score;
  std::vector<double> ratios, forecasts, actuals, worths;
  for (int c = 0; c < world.comparisons; ++c) {
    Rng rng(world.seed, static_cast<uint64_t>(c));
    PairedComparison comparison(kLowFlops, kHighFlops, world.options);
    const int budget = 2 * world.pairs;
    int pairs = 0;
    while (pairs < budget && !comparison.decided()) {
      add_pair(world, pairs++, rng, comparison);
      comparison.look();
    }
    ++score.comparisons;
    score.mean_pairs += static_cast<double>(pairs) / world.comparisons;
    switch (comparison.verdict()) {
      case ComparisonVerdict::kBetter:
        ++score.better;
        break;
      case ComparisonVerdict::kWorse:
        ++score.worse;
        break;
      case ComparisonVerdict::kNoDifference:
        ++score.no_difference;
        worths.push_back(comparison.bound().worth);
        break;
      case ComparisonVerdict::kUndecided:
        ++score.undecided;
        worths.push_back(comparison.bound().worth);
        break;
    }
    if (comparison.decided() || world.most_times == 0) continue;
    const PairedComparison::MoreBudget more = comparison.more_budget();
    ++score.followed;
    int next_look = pairs;
    while (pairs < world.most_times * budget && !comparison.decided()) {
      add_pair(world, pairs++, rng, comparison);
      if (pairs < next_look) continue;
      comparison.look();
      next_look = pairs + std::max(1, static_cast<int>(kNextLook * pairs));
    }
    if (!comparison.decided()) continue;
    ++score.followed_decided;
    score.as_expected += comparison.verdict() == more.expected;
    forecasts.push_back(more.times);
    actuals.push_back(static_cast<double>(pairs) / budget);
    ratios.push_back(forecasts.back() / actuals.back());
  }
  constexpr double kShown[] = {0.1, 0.5, 0.9};
  for (size_t i = 0; i < std::size(kShown); ++i) score.forecast_over_actual[i] = quantile(ratios, kShown[i]);
  score.median_forecast = median(std::move(forecasts));
  score.median_actual = median(std::move(actuals));
  score.median_bound_worth = median(std::move(worths));
  return score;
}

}  // namespace flywheel::evidence
