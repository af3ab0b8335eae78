// Rolling-origin backtests: forecasts of the upper part of a finished ladder from its lower part.
#pragma once

#include <span>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct BacktestRow {
  double train_below_flops = 0, held_out_flops = 0;
  double predicted = 0, low = 0, high = 0, measured = 0, error_percent = 0;  // (predicted - measured) / measured
  bool inside = false;
  double decades = 0;  // from the highest FLOPs fitted to those held out
  int points = 0;      // fitted
};
// Rolling origin: for each compute level with at least min_levels levels below it, fit below, predict the best loss of
// that level and of all levels above it from their sizes alone.
std::vector<BacktestRow> backtest(std::span<const Point> points, int min_levels = 2);
// The error_inflation for which backtest errors lie inside their 90% intervals. Few rows say little, so it starts from
// 1 with the weight of kPriorRows rows; never below 1.
double inflation_from_backtest(const std::vector<BacktestRow>& rows);
inline constexpr double kPriorRows = 4;

}  // namespace flywheel::scaling
