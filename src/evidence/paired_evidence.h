// Anytime-valid evidence from paired differences (candidate minus base in bits per byte, same seed, same order of
// data): the test may be inspected and stopped after any pair. Pure; not thread safe.
//
// Null: given its magnitude, a difference is at least as likely to be positive as negative. A change without effect
// satisfies it for any noise, since candidate and base are then exchangeable. Each pair bets against the null: with d
// the difference over an estimate of its scale, one bet of the mixture multiplies its wealth by
//     1 - stake * sign(d) * tanh(effect * |d|)
// whose expectation under the null is at most 1, so the mean wealth is an e-process: it exceeds 1 / alpha with
// probability at most alpha, at any stopping time (Ville 1939; de la Pena 1999 for symmetric differences; Ramdas,
// Gruenwald, Vovk and Shafer 2023 for the whole). The scale affects the power, never the guarantee. A stake below
// 1 keeps some wealth after an outlier.
#pragma once

#include <span>
#include <vector>

#include "evidence/multiplier.h"

namespace flywheel::evidence {

class SequentialTest {
 public:
  // scale: about the standard deviation of one difference, above 0; known before the pairs are.
  explicit SequentialTest(double scale);
  void add(double difference);
  int pairs() const { return static_cast<int>(differences_.size()); }
  std::span<const double> differences() const { return differences_; }
  double mean() const;
  // Of the null above ("the candidate is no better"), and of the mirrored one ("no worse").
  double log_e_better() const;
  double log_e_worse() const;
  // Median of the differences with an interval that holds it at all times at once with probability at least 1 - alpha,
  // if they are symmetric about it. Infinite ends while the pairs are too few.
  Interval interval(double alpha) const;

 private:
  double log_e(double shift, double sign) const;

  double scale_;
  std::vector<double> differences_;
};

}  // namespace flywheel::evidence
