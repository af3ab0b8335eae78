// How much wider than the model says intervals are made because backtests on the same ladder missed by more than their
// intervals allow. Each distance has its own factor: a failure far beyond the runs says nothing of forecasts nearby.
#pragma once

#include <array>
#include <vector>

namespace flywheel::scaling {

struct BacktestRow;

// Factors on the standard deviation of log loss, never below 1, at some distances beyond the highest FLOPs fitted;
// between them linear in decades, outside of them that of the nearest.
class ErrorInflation {
 public:
  static constexpr std::array<double, 5> kDecades = {0.2, 0.5, 1, 1.5, 2};

  ErrorInflation() { factors_.fill(1); }
  // The factor for which the errors of backtests at about each distance lie inside their 90% intervals. Few rows say
  // little: a factor starts from that of the distance before, the first from 1, with the weight of kPriorRows rows.
  explicit ErrorInflation(const std::vector<BacktestRow>& rows);
  static constexpr double kPriorRows = 4;

  double at_decades(double decades) const;
  double at_multiple(double flops_ratio) const;  // of FLOPs to the highest fitted
  double largest() const;

 private:
  std::array<double, kDecades.size()> factors_;
};

}  // namespace flywheel::scaling
