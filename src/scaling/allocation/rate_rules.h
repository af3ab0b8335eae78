// Learning rate and batch size as power laws of size and tokens, from runs in which they vary: a run with the planned N
// and D reaches its forecast only with suitable rates.
//
// For each (N, D) a robust quadratic of ln L in ln lr and ln batch, fitted near the best runs, has its minimum there;
// then ln lr = c + n ln N + d ln D and ln batch = c + d ln D through the minima (the shape of Step Law: Li et al. 2025,
// "Predictable Scale: Part I", lr = 1.79 N^-0.713 D^0.307, batch = 0.58 D^0.571 in tokens). The published exponents
// are the prior mean of ours; how far ours may lie from them is learnt from the minima by their likelihood. Intervals:
// cells and the runs within them are resampled. Units: batch in whatever unit the runs give it. Pure; deterministic for
// a seed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scaling/allocation/allocation.h"

namespace flywheel::scaling {

struct SweepRun {
  double N = 0, D = 0;                  // parameters, training tokens
  double learning_rate = 0, batch = 0;  // 0: not known
  double loss = 0;
};

// The best rates of one size and length.
struct RateCell {
  double N = 0, D = 0;
  double learning_rate = 0, batch = 0, loss = 0;  // at the minimum of the quadratic; 0: does not vary here
  std::array<double, 3> curvature = {};           // d2 ln L by ln lr twice, by both, by ln batch twice
  int runs = 0;
  std::string trouble;  // why it is left out; empty: it is used
  // Of loss, relative, over this cell's minimum, as the quadratic says.
  double excess(double at_learning_rate, double at_batch) const;
};

// coefficient * N^n * D^d
struct RateRule {
  Range coefficient, n, d;                       // 95%
  std::vector<std::array<double, 3>> resamples;  // ln coefficient, n, d
  std::string missing;                           // why there is none; empty: there is one
  Range at(double N, double D) const;            // 90%
};

struct RateRules {
  std::vector<RateCell> cells;
  RateRule learning_rate;  // of N and D
  RateRule batch;          // of D alone
};

// Runs without a rate that others have are left out. Throws kBadInput for values that are not finite and above 0.
RateRules fit_rate_rules(std::span<const SweepRun> runs, int resamples = 200, uint64_t seed = 1);
// The rule through given cells, those with trouble left out; N does not enter where `of_size` is false.
RateRule power_rule(std::span<const RateCell> cells, bool of_learning_rate, bool of_size);

}  // namespace flywheel::scaling
