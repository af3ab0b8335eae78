// Effects and compute multipliers from paired runs, for the campaign's search and `flywheel compare`. Pure.
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "base/cluster_error.h"
#include "evidence/multiplier.h"

namespace flywheel::evidence {

// 90% of Student's t about the mean; infinite for fewer than two.
Interval student90(const std::vector<double>& values);
// d ln L / d ln C from losses of one recipe on two rungs.
Slope slope_between(double low_flops, const std::vector<double>& low, double high_flops,
                    const std::vector<double>& high);
struct RungPairs;
// Of base and candidate together, from pairs on two rungs: the mean of their slopes, whose spread holds the slope of
// either side. With it a comparison and its mirror image say the same of compute.
Slope common_slope(const RungPairs& low, const RungPairs& high);
// Pairs of one rung: losses of the base, and candidate minus base. Or, `pooled`, runs of the candidate beside a pool of
// the base's, as many as there are of each: losses of the pool, and each candidate's less the mean of the pool.
struct RungPairs {
  double flops = 0;
  std::vector<double> base{}, difference{};
  bool pooled = false;
  double cost = 1;             // FLOPs that the candidate's runs spend over the base's, optimizers included
  std::vector<double> time{};  // seconds of the candidate's run over its base's, of each pair; empty: not measured
  std::optional<ClusterError> sampling{};  // of the mean difference, over documents (document_sums.h)
};
// A multiplier above this, or below its reciprocal, is extrapolated too far and is reported as a bound only.
inline constexpr double kFarthestMultiple = 8;
// What pairs on rungs, low to high, say: each rung's difference (90%: Student's t over the pairs and, where it is
// known, the sampling error over documents) and its compute multiplier, by the slope of the base between the lowest and
// the highest. Where that slope may be 0 (a base that more compute does not help, or seeds that drown it) a multiplier
// is only bounded: from below by a higher rung's factor where the candidate beats the base of that rung, else by 1
// where it is better; from above likewise, by a lower rung's where the candidate loses to the base of that rung.
struct PairedEffect {
  Slope slope;
  bool slope_is_sure = false;
  double base = 0;                // mean over the rungs with pairs
  std::vector<RungEffect> rungs;  // those with pairs
  std::vector<double> at_least;   // of each: how many times the compute the base loses with all the same; 0: not shown
  double cost = 1;                // over the rungs
  Interval time{NAN, 0, INFINITY};  // seconds over the base's, over all pairs (90%, Student's t of the logarithms)
  // Of a difference over all rungs with its interval at kWorthLevel, in compute. The value is NaN where it cannot be
  // said; bounds of single rungs are not carried over.
  Interval multiplier_of(const Interval& difference) const;
  // The same in seconds: what the base would take to reach the candidate's loss, at its own speed, over what the
  // candidate took. NaN where no time was measured.
  Interval time_multiplier_of(const Interval& difference) const;
};
enum class SlopeOf { kBase, kBothSides };
// kBothSides: by common_slope(), where neither side is the one that counts. REQUIRES pairs that are not `pooled`.
PairedEffect paired_effect(std::span<const RungPairs> rungs, SlopeOf slope_of = SlopeOf::kBase);
// Whether two lists of documents, on which the same pairs of runs were scored, agree on the differences: on every rung
// they are apart by no more than the sampling errors of both lists and what a seed does to one list and not to the
// other explain, at 90% for all rungs together (Bonferroni). Pair for pair in the same order. Empty where that cannot
// be told: a sampling error is not known, or a rung has one pair.
std::optional<bool> lists_agree(std::span<const RungPairs> one, std::span<const RungPairs> other);
inline constexpr double kUsualSlope = -0.08;  // until it is measured; half of it is its deviation until then

}  // namespace flywheel::evidence
