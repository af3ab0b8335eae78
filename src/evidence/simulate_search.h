// Simulation of the search policy on synthetic runs: its false and true discovery rates and its cost in runs. Compared
// in the same worlds with the greedy rule that keeps a change whenever a single run had a lower loss. Pure; the numbers
// do not depend on the thread count.
//
// A run measures its recipe's true loss plus noise of standard deviation 1. A share of the proposals is better by
// `effect`, the others do nothing. A screening costs one run (the base's are shared by all), a confirmation pair two.
// Changes add up: an adopted one is part of the base from then on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evidence/search_policy.h"

namespace flywheel::evidence {

struct SearchWorld {
  int campaigns = 1000, proposals = 100;
  double effect = 0, planted_share = 0.1;  // effect in standard deviations of the noise
  std::vector<double> noise;  // runs' residuals to resample, any scale; empty: Student's t with 4 degrees of freedom
  double gain_runs = 200;     // that would buy a gain of one standard deviation elsewhere
  PolicyOptions policy;       // its costs are those above
  uint64_t seed = 1;
  int threads = 1;
};

// A design that is fixed beforehand with the same guarantees: all proposals get as many runs, one base group as large,
// one-sided tests at alpha over the number of tests (Bonferroni). In two stages: screen all, test the better ones with
// fresh runs. Noise normal and known, which is kinder to it than to the search.
struct FixedDesign {
  double runs = 0;           // expected, of a whole campaign
  int screen = 0, test = 0;  // runs of each proposal in the first and second stage; one stage: test 0
  double threshold = 0;      // first-stage mean difference below which a proposal is tested
};
FixedDesign one_stage_design(int proposals, double effect, double alpha, double power);
FixedDesign two_stage_design(int proposals, int planted, double effect, double alpha, double power);

struct SearchScore {
  int campaigns = 0, with_false_findings = 0;
  double rate_high95 = 0;  // upper end of the exact 95% interval of the share of campaigns with a false finding
  double found_fraction = 0, false_discovery_rate = 0;
  double runs = 0;  // mean of a campaign
  double reported_effect = 0,
         reported_covers = 0;             // mean of what findings report; share of their 90% intervals that hold
  double confirmations = 0;               // mean number of tests
  double false_keeps = 0, fake_gain = 0;  // keep if lower: per campaign; its claimed total gain less the true one
};
SearchScore simulate_search(const SearchWorld& world);

}  // namespace flywheel::evidence
