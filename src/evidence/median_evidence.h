// A sequential test of the median of paired differences (candidate minus base, same seed, same order of data), and the
// confidence sequence that goes with it: both may be looked at after every pair, and one may stop when one likes. Pure;
// not thread safe.
//
// Null "the median is not below m": given its distance from m, a difference is at least as likely above m as below. It
// holds for a change without effect and m = 0 whatever the noise, since candidate and base are then exchangeable. With
// z = (difference - m) / scale, one bet multiplies its wealth by
//     1 - stake * tanh(reach * z)
// whose expectation under the null is at most 1, so the mean wealth of several bets is an e-process: it exceeds
// 1 / alpha with probability at most alpha at any stopping time (Ville 1939; de la Pena 1999 for symmetric differences;
// Ramdas, Gruenwald, Vovk and Shafer 2023). Large stakes decide soon where the effect is large, small ones make the
// interval shrink with the root of the number of pairs. The scale is the spread of the differences before, whatever m
// is, so the wealth is monotone in m; it affects the power, never the guarantee.
//
// A difference may be infinite: of a pair of which one run failed, which ranks below every other. It counts in full for
// the other side.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "evidence/multiplier.h"

namespace flywheel::evidence {

class MedianTest {
 public:
  // `least_scale`: below it differences are rounding. Above 0, and known before the pair was. REQUIRES no NaN.
  void add(double difference, double least_scale);
  int pairs() const { return static_cast<int>(differences_.size()); }
  std::span<const double> differences() const { return differences_; }
  // Of the null that the median is not below, or not above, `value`.
  double log_e_below(double value) const;
  double log_e_above(double value) const;
  // The median of the differences with an interval that holds the true one at all times at once with probability at
  // least 1 - alpha. Infinite ends while the pairs are too few; NaN in the middle without pairs.
  Interval interval(double alpha) const;

  double median() const;  // of the differences so far; NaN: none
  double spread() const;  // their standard deviation, robust against outliers
  // How many further pairs log_e_below(value) takes to reach `log_needed`, were they spread about `centre` as those so
  // far are about their median; infinite: no number of them. REQUIRES pairs.
  double pairs_to_below(double value, double centre, double log_needed) const;
  double pairs_to_above(double value, double centre, double log_needed) const;

 private:
  static constexpr size_t kBets = 6;
  std::array<double, kBets> log_wealth(double value, double sign) const;  // of each bet, its share included
  double log_e(double value, double sign) const;
  double pairs_to(double value, double sign, double centre, double log_needed) const;

  double least_scale_ = 0;
  std::vector<double> differences_, scales_;  // scales_: what each was divided by
};

}  // namespace flywheel::evidence
