// Designs that a laboratory might use in place of the search policy, in the same simulated worlds, for comparison at
// equal power and equal error. Each screens all proposals, then tests the best of them (the finalists) with fresh runs
// on every rung beside one pool of fresh runs of the base. Runs have the prices that the search pays. Pure; the numbers
// do not depend on the thread count.
//
// The parameters of each design are the cheapest found in the plain world for 90% power, the gain and the number of
// planted proposals being known beforehand, which is kinder to these designs than to the search: it knows neither. None
// of them has endurance runs.
#pragma once

#include <span>
#include <vector>

#include "evidence/simulation/simulate_search.h"

namespace flywheel::evidence {

enum class Design {
  kSearch,     // the search policy
  kRankSumBh,  // one screening of all; Wilcoxon's rank-sum test (1945) of the finalists; Benjamini and Hochberg (1995)
  kHalvingT,   // successive halving (Karnin, Koren and Somekh 2013); Welch's t test (1947); Benjamini and Hochberg
  kEBhRace,    // successive halving; e-processes of the finalists by ranks (rank_evidence.h), the most promising one
               // being run next; e-BH (Wang and Ramdas 2022)
};
inline constexpr protocol::Named<Design> kDesignNames[] = {{Design::kSearch, "search"},
                                                           {Design::kRankSumBh, "rank_sum_bh"},
                                                           {Design::kHalvingT, "halving_t"},
                                                           {Design::kEBhRace, "e_bh_race"}};
constexpr std::span<const protocol::Named<Design>> names(Design) {
  return kDesignNames;
}

struct DesignParameters {
  double gain = 0;     // in standard deviations, that they are chosen for
  int rounds = 1;      // of screening; after each of them the same share of the proposals is left
  int screen = 1;      // runs of each proposal that is left, in the first round
  int growth = 1;      // times as many in each round as in the one before
  int finalists = 1;   // left after the last round
  int runs = 2;        // of a finalist on each rung; of a race: at most
  int pool = 2;        // runs of the base on each rung
  double give_up = 0;  // of a race: evidence below exp(-give_up) ends a finalist's runs
};
// Those chosen for the largest gain of 1, 2 and 3 that is at most `gain`, or for 1. REQUIRES another design than the
// search.
DesignParameters design_parameters(Design design, double gain);

// REQUIRES another design than the search.
SearchScore simulate_design(const SearchWorld& world, Design design, const DesignParameters& parameters);

// One-sided p-values of "the candidate's losses are no lower than the base's". REQUIRES some runs of each, two for
// Welch's test.
// Exact, ties included, for small samples; else by the normal approximation with the correction for ties.
double rank_sum_p_value(std::span<const double> candidate, std::span<const double> base);
double welch_p_value(std::span<const double> candidate, std::span<const double> base);
// Which of the hypotheses are rejected. e-values are given as their logarithms.
std::vector<bool> benjamini_hochberg(std::span<const double> p_values, double alpha);
std::vector<bool> e_benjamini_hochberg(std::span<const double> log_e_values, double alpha);

}  // namespace flywheel::evidence
