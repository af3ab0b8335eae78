// Simulation of the search policy on synthetic runs: its false and true discovery rates and its cost in runs, in worlds
// that are named for what is hard in them. Compared in the same worlds with the greedy rule that keeps a change
// whenever a single run had a lower loss. Pure; the numbers do not depend on the thread count.
//
// A run measures its recipe's true loss plus noise of standard deviation 1, on every rung. A share of the proposals is
// planted, the others do nothing. A run of a confirmation costs 1, which is half of the mean FLOPs of a pair over both
// rungs; a screening costs what it costs campaigns beside that (campaign_policy()). Changes add up: an adopted one is
// part of the base from then on. What a campaign spends besides on leaving one out is not in it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "evidence/search_policy.h"
#include "protocol/names.h"

namespace flywheel::evidence {

enum class WorldKind {
  kPlain,      // the planted are better by `effect` everywhere
  kVanishes,   // half of the planted are better where they are screened and on the lower rung, and do nothing above
  kHarmAbove,  // half of the planted likewise, and harm by half a standard deviation above
  kAuditBias,  // half of the planted are better where they are screened only; the documents of the confirmation favour
               // or disfavour each proposal by half a standard deviation, which the search is told, not by how much
  kDisasters,  // half of the planted are better in 19 of 20 runs and worse by 30 in the others
  kLopsided,   // half of the planted are better in 7 of 10 runs and worse by three times as much in the others
};
inline constexpr protocol::Named<WorldKind> kWorldNames[] = {
    {WorldKind::kPlain, "plain"},          {WorldKind::kVanishes, "vanishes"},   {WorldKind::kHarmAbove, "harm_above"},
    {WorldKind::kAuditBias, "audit_bias"}, {WorldKind::kDisasters, "disasters"}, {WorldKind::kLopsided, "lopsided"}};
constexpr std::span<const protocol::Named<WorldKind>> names(WorldKind) {
  return kWorldNames;
}

struct SearchWorld {
  WorldKind kind = WorldKind::kPlain;
  int campaigns = 1000, proposals = 100;
  double effect = 0, planted_share = 0.1;  // effect in standard deviations of the noise
  std::vector<double> noise;  // runs' residuals to resample, any scale; empty: Student's t with 4 degrees of freedom
  double gain_runs = 60;      // that would buy a gain of one standard deviation elsewhere
  PolicyOptions policy = campaign_policy();
  uint64_t seed = 1;
  int threads = 1;
  std::function<void(int done)> progress = {};  // after each campaign, from one thread at a time
};

// A proposal's true effects, less than 0: better.
struct TrueEffect {
  double screened = 0;
  std::vector<double> rungs{};  // for the corpus
  double audit_bias = 0;        // what the documents of confirmations add
  double harm = 0;              // in this share of its runs it is worse by that:
  double harm_share = 0;
  bool real() const;  // better on every rung, and never harmful
};
// Those of one campaign of a world, in random order.
std::vector<TrueEffect> true_effects(const SearchWorld& world, uint64_t campaign);

// Noise of one run: residuals resampled at standard deviation 1, or Student's t with 4 degrees of freedom, scaled so.
class RunNoise {
 public:
  explicit RunNoise(std::vector<double> residuals);
  double draw(Rng& rng) const;

 private:
  std::vector<double> residuals_;
};

// Runs of one campaign of a world, as numbers. Recipes differ by changes that add up; only what a run measures beside
// the base of its moment matters.
class SimulatedRuns {
 public:
  SimulatedRuns(const SearchWorld& world, const RunNoise& noise, uint64_t campaign);
  const std::vector<TrueEffect>& effects() const { return effects_; }
  // Of the base: `adopted` changes are part of it and can ruin its runs.
  double base(const std::vector<int>& adopted = {}) { return noise() + base_ruin(adopted); }
  double base_ruin(const std::vector<int>& adopted);
  // Of a change beside the base, on the screening rung or on one of the rungs above.
  double screened(const TrueEffect& effect) { return effect.screened + ruin(effect) + noise(); }
  double confirmed(const TrueEffect& effect, size_t rung) {
    return effect.rungs[rung] + effect.audit_bias + ruin(effect) + noise();
  }

 private:
  double noise() { return noise_.draw(rng_); }
  double ruin(const TrueEffect& effect);

  const RunNoise& noise_;
  Rng rng_;
  std::vector<TrueEffect> effects_;
};

// A design that is fixed beforehand with the same guarantees: all proposals get as many runs, one base group as large,
// one-sided tests at alpha over the number of tests (Bonferroni). In two stages: screen all, test the better ones with
// fresh runs. Noise normal and known, which is kinder to it than to the search. On one rung.
struct FixedDesign {
  double runs = 0;           // expected, of a whole campaign
  int screen = 0, test = 0;  // runs of each proposal in the first and second stage; one stage: test 0
  double threshold = 0;      // first-stage mean difference below which a proposal is tested
};
FixedDesign one_stage_design(int proposals, double effect, double alpha, double power);
FixedDesign two_stage_design(int proposals, int planted, double effect, double alpha, double power);

// What became of one simulated campaign.
struct CampaignOutcome {
  int false_findings = 0, found = 0, planted = 0, findings = 0, false_keeps = 0, covered = 0;
  double screenings = 0, pool = 0, confirmations = 0, endurance = 0, reported = 0, truth = 0, fake_gain = 0;
  int tests = 0, batches = 0;
};

struct SearchScore {
  int campaigns = 0, with_false_findings = 0;
  double rate_high95 = 0;  // upper end of the exact 95% interval of the share of campaigns with a false finding
  double found_fraction = 0, false_discovery_rate = 0;
  double runs = 0;                                                    // run-equivalents, mean of a campaign
  double screenings = 0, pool = 0, confirmations = 0, endurance = 0;  // of these, each at its price
  double reported_effect = 0,
         reported_covers = 0;             // mean of what findings report; share of their 90% intervals that hold
  double true_effect = 0;                 // mean of the same findings
  double tests = 0, batches = 0;          // mean numbers
  double false_keeps = 0, fake_gain = 0;  // keep if lower: per campaign; its claimed total gain less the true one
};
// `decide` makes the runs of a campaign and fills in its findings and costs; it is called from several threads.
SearchScore simulate_campaigns(const SearchWorld& world,
                               const std::function<void(SimulatedRuns& runs, CampaignOutcome& outcome)>& decide);
SearchScore simulate_search(const SearchWorld& world);

}  // namespace flywheel::evidence
