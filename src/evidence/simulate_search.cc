#include "evidence/simulate_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "base/thread_pool.h"

namespace flywheel::evidence {
namespace {

// Residuals resampled at standard deviation 1, or Student's t with 4 degrees of freedom, scaled so.
class Noise {
 public:
  explicit Noise(std::vector<double> residuals) : residuals_(std::move(residuals)) {
    if (residuals_.empty()) return;
    double mean = 0, square = 0;
    const auto n = static_cast<double>(residuals_.size());
    for (const double r : residuals_) mean += r / n;
    for (const double r : residuals_) square += (r - mean) * (r - mean) / n;
    CHECK(square > 0);
    for (double& r : residuals_) r = (r - mean) / std::sqrt(square);
  }
  double draw(Rng& rng) const {
    if (!residuals_.empty()) return residuals_[rng.below(residuals_.size())];
    const double z = rng.normal();
    double square = 0;
    for (int i = 0; i < 4; ++i) square += std::pow(rng.normal(), 2);
    return z / std::sqrt(square / 4) / std::sqrt(2.0);  // of variance 4 / (4 - 2)
  }

 private:
  std::vector<double> residuals_;
};

struct One {
  int false_findings = 0, found = 0, planted = 0, findings = 0, tests = 0, false_keeps = 0, covered = 0;
  double runs = 0, reported = 0, fake_gain = 0;
};

One campaign(const SearchWorld& world, const Noise& noise, uint64_t index) {
  One one;
  Rng rng(world.seed, index);
  std::vector<double> effects(static_cast<size_t>(world.proposals), 0);
  one.planted = world.effect != 0 ? static_cast<int>(std::lround(world.planted_share * world.proposals)) : 0;
  for (int i = 0; i < one.planted; ++i) effects[static_cast<size_t>(i)] = -world.effect;
  for (size_t i = effects.size(); i > 1; --i) std::swap(effects[i - 1], effects[rng.below(i)]);

  PolicyOptions options = world.policy;
  options.gain_flops = world.gain_runs;
  SearchPolicy search(options);
  double screen_base = 0;
  for (int i = 0; i < options.base_runs; ++i) screen_base += noise.draw(rng) / options.base_runs, one.runs += 1;
  while (true) {
    const SearchPolicy::Action action = search.next();
    if (action.kind == SearchPolicy::Action::Kind::kPropose) {
      if (search.standings().size() < effects.size())
        search.propose();
      else
        search.no_more_proposals();
      continue;
    }
    if (action.kind != SearchPolicy::Action::Kind::kRun) break;
    const double effect = effects[static_cast<size_t>(action.pair.proposal)];
    const bool screen = action.pair.stage == Stage::kScreen;
    one.runs += screen ? 1 : 2;
    const double base = screen ? screen_base : noise.draw(rng);
    search.result(action.pair, effect + noise.draw(rng) - base);
  }
  for (size_t i = 0; i < search.standings().size(); ++i) {
    const Standing& p = search.standings()[i];
    if (p.outcome != Outcome::kAdopted) continue;
    ++one.findings;
    (effects[i] < 0 ? one.found : one.false_findings) += 1;
    const Interval interval = p.confirmed->interval(0.1);
    one.reported += interval.value;
    one.covered += interval.low <= effects[i] && effects[i] <= interval.high;
  }
  one.tests = search.tests();

  double kept = noise.draw(rng), truth = 0, first = kept;
  for (const double effect : effects) {
    const double measured = truth + effect + noise.draw(rng);
    if (measured >= kept) continue;
    if (effect == 0) ++one.false_keeps;
    kept = measured, truth += effect;
  }
  one.fake_gain = (first - kept) + truth;  // claimed less true; truth is below 0 where something real was kept
  return one;
}

}  // namespace

FixedDesign one_stage_design(int proposals, double effect, double alpha, double power) {
  CHECK(effect > 0);
  // A difference of two means of n runs has variance 2 / n.
  const double z = normal_quantile(1 - alpha / proposals) + normal_quantile(power);
  FixedDesign design;
  design.screen = static_cast<int>(std::ceil(2 * z * z / (effect * effect)));
  design.runs = static_cast<double>(design.screen) * (proposals + 1);
  return design;
}

FixedDesign two_stage_design(int proposals, int planted, double effect, double alpha, double power) {
  FixedDesign best;
  best.runs = INFINITY;
  for (int screen = 1; screen <= 40; ++screen)
    for (double pass = 0.905; pass < 0.9995; pass += 0.005) {  // of a real one, through the first stage
      const double sd = std::sqrt(2.0 / screen);
      const double threshold = -effect + sd * normal_quantile(pass);
      const double through = planted * pass + (proposals - planted) * normal_below(threshold / sd);
      const double second = power / pass;
      if (second >= 1) continue;
      // The level is divided by how many are expected to be tested; the number is known before the second stage.
      const double z = normal_quantile(1 - alpha / std::max(1.0, through)) + normal_quantile(second);
      const int test = static_cast<int>(std::ceil(2 * z * z / (effect * effect)));
      const double runs = static_cast<double>(screen) * (proposals + 1) + test * (through + 1);
      if (runs < best.runs) best = {runs, screen, test, threshold};
    }
  return best;
}

SearchScore simulate_search(const SearchWorld& world) {
  const Noise noise(world.noise);
  std::vector<One> all(static_cast<size_t>(world.campaigns));
  std::atomic<int> next{0};
  ThreadPool pool(world.threads);
  pool.run([&](int) {
    for (int i; (i = next++) < world.campaigns;)
      all[static_cast<size_t>(i)] = campaign(world, noise, static_cast<uint64_t>(i));
  });
  SearchScore score;
  score.campaigns = world.campaigns;
  double planted = 0, found = 0, findings = 0, covered = 0;
  for (const One& one : all) {
    score.with_false_findings += one.false_findings > 0;
    score.false_discovery_rate += one.findings > 0 ? static_cast<double>(one.false_findings) / one.findings : 0;
    planted += one.planted, found += one.found, findings += one.findings, covered += one.covered;
    score.runs += one.runs;
    score.reported_effect += one.reported;
    score.confirmations += one.tests;
    score.false_keeps += one.false_keeps;
    score.fake_gain += one.fake_gain;
  }
  const double n = world.campaigns;
  score.rate_high95 = binomial_interval(score.with_false_findings, world.campaigns, 0.95).high;
  score.found_fraction = planted > 0 ? found / planted : 0;
  score.reported_effect = findings > 0 ? score.reported_effect / findings : 0;
  score.reported_covers = findings > 0 ? covered / findings : 0;
  for (double* mean :
       {&score.false_discovery_rate, &score.runs, &score.confirmations, &score.false_keeps, &score.fake_gain})
    *mean /= n;
  return score;
}

}  // namespace flywheel::evidence
