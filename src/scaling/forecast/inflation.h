// How much wider or narrower than the model says intervals are made by what backtests on the same ladder show. Each
// distance has its own factor: a failure far beyond the runs says nothing of forecasts nearby.
#pragma once

#include <array>
#include <vector>

#include "scaling/forecast/beliefs.h"

namespace flywheel::scaling {

struct BacktestRow;

// Factors on the standard deviation of log loss at some distances beyond the highest FLOPs fitted; between them linear
// in decades, outside of them that of the nearest.
class ErrorInflation {
 public:
  static constexpr std::array<double, 5> kDecades = {0.2, 0.5, 1, 1.5, 2};

  ErrorInflation() { factors_.fill(1); }
  // The mean of the log factor at each distance given the errors of backtests at about it; not the likeliest, since few
  // errors are more often small than large and would narrow intervals that are right. Before, the log is believed to be
  // that of the distance before, give or take kChangeLogSd; the first 0, give or take kLogSd. All errors of one origin
  // share its law's misfit, so they count as one, which says more the more of the ladder's runs the origin had: by the
  // square of that share, because larger origins contain the smaller. Errors have tails: Student's t of kTail degrees.
  // They are errors of forecasts from a part of the runs, larger than those from all by Beliefs::part_error.
  explicit ErrorInflation(const std::vector<BacktestRow>& rows, const Beliefs& beliefs = {});
  static constexpr double kLogSd = 0.5;  // what campaigns believe of their spread
  static constexpr double kChangeLogSd = 0.3;
  static constexpr double kTail = 10;

  double at_decades(double decades) const;
  double at_multiple(double flops_ratio) const;  // of FLOPs to the highest fitted
  bool is_one() const;                           // within half a percent, at all distances

 private:
  std::array<double, kDecades.size()> factors_;
};

}  // namespace flywheel::scaling
