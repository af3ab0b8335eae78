// Is a change real? The sequential decision of `flywheel compare`: pairs of runs (same seed, same order of data) on two
// rungs in turn, until on both of them the evidence for better, or for worse, suffices (paired_evidence.h): the smaller
// of two e-values is one for "not so on one rung at least". Pure; deterministic for the order in which pairs are added.
// Not thread safe.
//
// The scale of a rung's differences is estimated from its first two pairs. They are left out of its test, which needs
// the scale before the pairs it is applied to.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "evidence/multiplier.h"
#include "evidence/paired_evidence.h"
#include "evidence/paired_runs.h"
#include "protocol/verdicts.h"

namespace flywheel::evidence {

using protocol::ComparisonVerdict;

struct ComparisonOptions {
  double alpha = 0.05;        // of the verdict, both sides together
  int fewest_on_a_rung = 5;   // pairs before a verdict
  int failures = 2;           // of the candidate's runs, that make it worse
  double least_scale = 1e-4;  // of the differences, as a share of the base's loss
};

// Of a pair, candidate over base: FLOPs with the optimizer's, and seconds; time 0: not measured.
struct PairRatios {
  double cost = 1, time = 0;
};

class PairedComparison {
 public:
  PairedComparison(double low_flops, double high_flops, const ComparisonOptions& options = {});

  // Pair by pair; `rung`: 0 or 1.
  void add(size_t rung, double base_loss, double candidate_loss, const PairRatios& ratios = {});
  void add_failure(const std::string& reason);  // of the candidate's run
  // Decides when the evidence suffices. True when there are enough pairs for an estimate.
  bool look();

  ComparisonVerdict verdict() const { return verdict_; }
  bool decided() const { return verdict_ != ComparisonVerdict::kUndecided; }
  const std::string& why() const { return why_; }  // of failures; empty: there was none
  const std::array<RungPairs, 2>& rungs() const { return rungs_; }
  int pairs() const { return static_cast<int>(rungs_[0].difference.size() + rungs_[1].difference.size()); }
  bool tested() const { return tests_[0] && tests_[1]; }  // pairs for the scale are there
  int tested_pairs() const;
  double log_e_better() const;  // on both rungs; REQUIRES tested()
  double log_e_worse() const;
  double evidence_needed() const { return 2 / options_.alpha; }  // that each side's must reach
  double level() const { return 1 - options_.alpha; }            // of the verdict
  // Of the median over the pairs of both rungs, at any time, of this level (0.9: 90%); open ends where there was no
  // test yet.
  Interval difference(double level) const;
  // While undecided: the factor by which the number of pairs would have to grow, extrapolating the evidence per pair
  // for the likelier side. Empty when that evidence does not grow; never infinite.
  std::optional<double> more_budget() const;

 private:
  size_t fewest() const { return std::min(rungs_[0].difference.size(), rungs_[1].difference.size()); }

  ComparisonOptions options_;
  std::array<RungPairs, 2> rungs_;
  std::array<std::optional<SequentialTest>, 2> tests_;
  std::optional<SequentialTest> all_;  // pairs of both rungs, for their difference
  ComparisonVerdict verdict_ = ComparisonVerdict::kUndecided;
  std::string why_;
  int failed_ = 0;
};

}  // namespace flywheel::evidence
