#include "evidence/simulation/simulate_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "base/check.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "base/thread_pool.h"

namespace flywheel::evidence {
namespace {

constexpr double kRuin = 30, kRuinShare = 0.05, kHarmAbove = 0.5, kAuditBias = 0.5;
constexpr double kLopsidedHarm = 4, kLopsidedShare = 0.3;  // so that it is worse on average by a fifth of the gain

// A search to its end; its screening base is measured anew after an adoption, as campaigns do.
void search_in(SimulatedRuns& world, const SearchWorld& options, CampaignOutcome& one) {
  PolicyOptions policy = options.policy;
  policy.gain_flops = options.gain_runs;  // a run costs 1
  if (options.kind == WorldKind::kAuditBias) policy.sampling_sd = [](int) { return kAuditBias; };
  SearchPolicy search(policy);
  std::vector<int> adopted;
  double screen_base = 0;
  const auto measure_base = [&] {
    std::vector<double> losses;
    for (int i = 0; i < policy.base_runs; ++i) losses.push_back(world.base(adopted));
    screen_base = mean(losses);
    one.screenings += policy.base_runs * policy.screen_cost;
  };
  measure_base();
  bool enduring = false;
  while (true) {
    search.set_listed_left(search.standings().size() < world.effects().size());
    const SearchPolicy::Action action = search.next();
    if (const std::vector<int> fresh = search.take_adopted(); !fresh.empty()) {
      adopted.insert(adopted.end(), fresh.begin(), fresh.end());
      if (!enduring) measure_base();
      continue;
    }
    if (action.kind == SearchPolicy::Action::Kind::kPropose) {
      if (search.standings().size() < world.effects().size())
        search.propose(/*listed=*/true);
      else
        search.no_more_proposals();
      continue;
    }
    if (action.kind != SearchPolicy::Action::Kind::kRun) {
      if (enduring) break;
      search.close("nothing left is worth its FLOPs");
      enduring = true;
      if (!search.endure()) break;
      continue;
    }
    const auto rung = static_cast<size_t>(action.run.rung);
    const double cost = action.run.stage == Stage::kConfirm ? policy.run_costs[rung] : policy.screen_cost;
    if (action.run.proposal == kTheBase) {
      (action.run.stage == Stage::kConfirm ? one.pool : one.endurance) += cost;
      search.result(action.run, world.base(adopted));
    } else {
      const TrueEffect& effect = world.effects()[static_cast<size_t>(action.run.proposal)];
      if (action.run.stage == Stage::kScreen) {
        one.screenings += cost;
        search.result(action.run, world.screened(effect) + world.base_ruin(adopted) - screen_base);
      } else if (action.run.stage == Stage::kConfirm) {
        one.confirmations += cost;
        search.result(action.run, world.confirmed(effect, rung) + world.base_ruin(adopted));
      } else {
        one.endurance += cost;
        search.result(action.run, world.screened(effect));
      }
    }
  }
  for (size_t i = 0; i < search.standings().size(); ++i) {
    const Standing& p = search.standings()[i];
    if (p.outcome != Outcome::kAdopted) continue;
    const TrueEffect& effect = world.effects()[i];
    ++one.findings;
    (effect.real() ? one.found : one.false_findings) += 1;
    if (!effect.real()) continue;
    const Interval reported = search.reported(static_cast<int>(i)).difference;
    const double truth = mean(effect.rungs);
    one.reported += reported.value, one.truth += truth;
    one.covered += reported.low <= truth && truth <= reported.high;
  }
  one.tests = search.tests();
  one.batches = search.batches();
}

// Keep if lower, on the upper rung.
void keep_if_lower(SimulatedRuns& world, CampaignOutcome& one) {
  double kept = world.base(), truth = 0;
  const double first = kept;
  for (const TrueEffect& effect : world.effects()) {
    const double measured = truth + world.confirmed(effect, effect.rungs.size() - 1);
    if (measured >= kept) continue;
    if (!effect.real()) ++one.false_keeps;
    kept = measured, truth += effect.rungs.back();
  }
  one.fake_gain = (first - kept) + truth;  // claimed less true; truth is below 0 where something real was kept
}

}  // namespace

bool TrueEffect::real() const {
  return harm_share == 0 && std::all_of(rungs.begin(), rungs.end(), [](double rung) { return rung < 0; });
}

std::vector<TrueEffect> true_effects(const SearchWorld& world, uint64_t campaign) {
  Rng rng(world.seed, 2 * campaign);
  const auto rungs = world.policy.run_costs.size();
  std::vector<TrueEffect> effects(static_cast<size_t>(world.proposals));
  const int planted = world.effect != 0 ? static_cast<int>(std::lround(world.planted_share * world.proposals)) : 0;
  for (int i = 0; i < world.proposals; ++i) {
    TrueEffect& effect = effects[static_cast<size_t>(i)];
    effect.rungs.assign(rungs, 0);
    if (world.kind == WorldKind::kAuditBias) effect.audit_bias = kAuditBias * rng.normal();
    if (i >= planted) continue;
    effect.screened = -world.effect;
    effect.rungs.assign(rungs, -world.effect);
    if (i % 2 == 0) continue;
    switch (world.kind) {
      case WorldKind::kPlain:
        break;
      case WorldKind::kVanishes:
        effect.rungs.back() = 0;
        break;
      case WorldKind::kHarmAbove:
        effect.rungs.back() = kHarmAbove;
        break;
      case WorldKind::kAuditBias:
        effect.rungs.assign(rungs, 0);
        break;
      case WorldKind::kDisasters:
        effect.harm = kRuin, effect.harm_share = kRuinShare;
        break;
      case WorldKind::kLopsided:
        effect.harm = kLopsidedHarm * world.effect, effect.harm_share = kLopsidedShare;
        break;
    }
  }
  for (size_t i = effects.size(); i > 1; --i) std::swap(effects[i - 1], effects[rng.below(i)]);
  return effects;
}

RunNoise::RunNoise(std::vector<double> residuals) : residuals_(std::move(residuals)) {
  if (residuals_.empty()) return;
  const double centre = mean(residuals_);
  double square = 0;
  for (const double r : residuals_) square += (r - centre) * (r - centre) / static_cast<double>(residuals_.size());
  CHECK(square > 0);
  for (double& r : residuals_) r = (r - centre) / std::sqrt(square);
}
double RunNoise::draw(Rng& rng) const {
  if (!residuals_.empty()) return residuals_[rng.below(residuals_.size())];
  const double z = rng.normal();
  double square = 0;
  for (int i = 0; i < 4; ++i) square += std::pow(rng.normal(), 2);
  return z / std::sqrt(square / 4) / std::sqrt(2.0);  // of variance 4 / (4 - 2)
}

SimulatedRuns::SimulatedRuns(const SearchWorld& world, const RunNoise& noise, uint64_t campaign)
    : noise_(noise), rng_(world.seed, 2 * campaign + 1), effects_(true_effects(world, campaign)) {}
double SimulatedRuns::ruin(const TrueEffect& effect) {
  return effect.harm_share > 0 && rng_.uniform() < effect.harm_share ? effect.harm : 0;
}
double SimulatedRuns::base_ruin(const std::vector<int>& adopted) {
  double sum = 0;
  for (const int i : adopted) sum += ruin(effects_[static_cast<size_t>(i)]);
  return sum;
}

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
  return simulate_campaigns(
      world, [&world](SimulatedRuns& runs, CampaignOutcome& outcome) { search_in(runs, world, outcome); });
}

SearchScore simulate_campaigns(const SearchWorld& world,
                               const std::function<void(SimulatedRuns&, CampaignOutcome&)>& decide) {
  const RunNoise noise(world.noise);
  std::vector<CampaignOutcome> all(static_cast<size_t>(world.campaigns));
  std::atomic<int> next{0};
  std::mutex progress;
  int done = 0;
  ThreadPool pool(world.threads);
  pool.run([&](int) {
    for (int i; (i = next++) < world.campaigns;) {
      CampaignOutcome& one = all[static_cast<size_t>(i)];
      SimulatedRuns runs(world, noise, static_cast<uint64_t>(i));
      for (const TrueEffect& effect : runs.effects()) one.planted += effect.real();
      decide(runs, one);
      keep_if_lower(runs, one);
      const std::lock_guard lock(progress);
      ++done;
      if (world.progress) world.progress(done);
    }
  });
  SearchScore score;
  score.campaigns = world.campaigns;
  double planted = 0, found = 0, covered = 0;
  for (const CampaignOutcome& one : all) {
    score.with_false_findings += one.false_findings > 0;
    score.false_discovery_rate += one.findings > 0 ? static_cast<double>(one.false_findings) / one.findings : 0;
    planted += one.planted, found += one.found, covered += one.covered;
    score.screenings += one.screenings;
    score.pool += one.pool;
    score.confirmations += one.confirmations;
    score.endurance += one.endurance;
    score.reported_effect += one.reported;
    score.true_effect += one.truth;
    score.tests += one.tests;
    score.batches += one.batches;
    score.false_keeps += one.false_keeps;
    score.fake_gain += one.fake_gain;
  }
  const double n = world.campaigns;
  score.rate_high95 = binomial_interval(score.with_false_findings, world.campaigns, 0.9).high;
  score.found_fraction = planted > 0 ? found / planted : 0;
  for (double* mean : {&score.reported_effect, &score.true_effect}) *mean = found > 0 ? *mean / found : 0;
  score.reported_covers = found > 0 ? covered / found : 0;
  for (double* mean : {&score.false_discovery_rate, &score.screenings, &score.pool, &score.confirmations,
                       &score.endurance, &score.tests, &score.batches, &score.false_keeps, &score.fake_gain})
    *mean /= n;
  score.runs = score.screenings + score.pool + score.confirmations + score.endurance;
  return score;
}

}  // namespace flywheel::evidence
