// Is a change real? The sequential decision of `flywheel compare`: pairs of runs (same seed, same order of data) on two
// rungs in turn, until on both of them
//   better, worse:  the evidence for it suffices (median_evidence.h): the smaller of two e-values is one for "not so on
//   one
//                   rung at least";
//   no difference:  the interval of the difference lies within the region of practical equivalence, the effects smaller
//                   than the smallest one of interest (two one-sided tests: Schuirmann 1987; on both rungs, since an
//                   intersection-union test needs no correction: Berger 1982). The interval holds at all times at once,
//                   so it may be looked at after every pair.
//
// A run that fails for what its recipe does is the worst rank: its pair counts in full for the other side, and where
// both sides fail, for neither. Failures have a test of their own, since they show sooner than a median moves: of the
// pairs in which one side alone failed, "this side is no likelier to be it than the other". Its share of alpha is
// small. Pure; deterministic for the order in which pairs are added. Not thread safe.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "evidence/median_evidence.h"
#include "evidence/multiplier.h"
#include "evidence/paired_runs.h"
#include "protocol/verdicts.h"

namespace flywheel::evidence {

using protocol::ComparisonVerdict;

struct ComparisonOptions {
  double alpha = 0.05;            // of the verdict, both sides and failures together
  double alpha_failures = 0.01;   // that part of it that is the test of failures
  double least_scale = 1e-4;      // of the differences, as a share of the base's loss; below it they are rounding
  double smallest_effect = 0.05;  // of interest, as a share of compute: 0.05 is worth 5% more compute, or as much less
};

// Of a pair, candidate over base: FLOPs with the optimizer's, and seconds; time 0: not measured.
struct PairRatios {
  double cost = 1, time = 0;
};

// Runs of each side.
struct SideCounts {
  int base = 0, candidate = 0;
};

class PairedComparison {
 public:
  PairedComparison(double low_flops, double high_flops, const ComparisonOptions& options = {});

  // Pair by pair; `rung`: 0 or 1.
  void add(size_t rung, double base_loss, double candidate_loss, const PairRatios& ratios = {});
  enum class Failed { kBase, kCandidate, kBoth };
  void add_failure(size_t rung, Failed failed, const std::string& reason);

  // Sampling error over documents of a rung's difference, which an equivalence must hold with; empty: not known.
  using Sampling = std::function<std::optional<ClusterError>(size_t rung)>;
  // Decides when the evidence suffices. True when both rungs have a pair. `sampling` is asked only where the seeds
  // alone say that there is no difference.
  bool look(const Sampling& sampling = {});

  ComparisonVerdict verdict() const { return verdict_; }
  bool decided() const { return verdict_ != ComparisonVerdict::kUndecided; }
  const std::string& why() const { return why_; }  // the failures; empty: there was none
  // Pairs of which both runs finished.
  const std::array<RungPairs, 2>& rungs() const { return rungs_; }
  // All pairs of each side that count, those with a failure included.
  int pairs() const { return pairs_; }
  bool tested() const { return tests_[0].pairs() > 0 && tests_[1].pairs() > 0; }
  const SideCounts& failed() const { return failed_; }
  // Runs that finished, but far above the others of their side and rung (kRuinedSds of rank_evidence.h).
  SideCounts ruined() const;
  double log_e_better() const;  // on both rungs
  double log_e_worse() const;
  double evidence_needed() const;                      // that each side's must reach
  double level() const { return 1 - options_.alpha; }  // of the verdict
  // Of the median over the pairs of both rungs, at any time, of this level (0.9: 90%); open ends while there are few.
  Interval difference(double level) const;

  // The smallest bound within which the intervals of both rungs lie, at level(): larger differences are excluded.
  struct Bound {
    double bits_per_byte = INFINITY;
    double worth = INFINITY;   // the same as a share of compute, by the gentlest slope that the losses leave open
    bool usual_slope = false;  // they leave even none open, and kUsualSlope stands in
  };
  // With these sampling errors of the rungs, where they can be told.
  Bound bound(const Sampling& sampling = {}) const;

  // While undecided: the factor by which the pairs, and the budget with them, would have to grow, as the median over
  // what the effects may be by the pairs so far; and the verdict that is then expected. Always a number: kMostTimes
  // where none is expected (the rungs contradict each other, say). REQUIRES pairs.
  struct MoreBudget {
    double times = kMostTimes;
    ComparisonVerdict expected = ComparisonVerdict::kUndecided;
  };
  static constexpr double kMostTimes = 1000;
  MoreBudget more_budget() const;

 private:
  struct Region {
    double slope = 0;  // of ln L over ln C
    bool usual_slope = false;
    std::array<double, 2> loss{}, half_width{};  // by rung: between the sides; bits per byte of the smallest effect
  };
  Region region() const;
  void add_to_tests(size_t rung, double difference);
  bool decide_by_failures();
  double log_bound_needed() const;  // evidence that each end of the interval takes
  bool may_be_equivalent() const;   // no side failed more often than the other
  bool equivalent_by_seeds() const;

  ComparisonOptions options_;
  std::array<RungPairs, 2> rungs_;
  std::array<MedianTest, 2> tests_;
  MedianTest all_;  // pairs of both rungs, for their difference
  ComparisonVerdict verdict_ = ComparisonVerdict::kUndecided;
  std::string why_;
  double least_scale_;  // bits per byte
  SideCounts failed_, failed_alone_;
  int pairs_ = 0;
};

}  // namespace flywheel::evidence
