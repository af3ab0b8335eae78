// Rolling-origin backtests: forecasts of the upper part of a finished ladder from its lower part.
#pragma once

#include <span>
#include <vector>

#include "scaling/forecast/beliefs.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

inline constexpr size_t kBacktestLevels = 3;  // below each origin
inline constexpr double kLargestSquare = 100;

struct BacktestRow {
  double train_below_flops = 0, held_out_flops = 0;
  double predicted = 0, low = 0, high = 0, measured = 0, error_percent = 0;  // (predicted - measured) / measured
  bool inside = false;
  double decades = 0;  // from the highest FLOPs fitted to those held out
  int points = 0;      // fitted
  double share = 0;    // of the ladder's runs, fitted
  // Of the errors of all runs of the level in standard deviations of their intervals, each square at most
  // kLargestSquare, so that one wild run does not decide.
  double mean_square = 0;
};
// Rolling origin: for each compute level with at least kBacktestLevels levels below it, fit below, predict the best
// loss of that level and of all levels above it from their sizes alone.
std::vector<BacktestRow> backtest(std::span<const Point> points, const Beliefs& beliefs = {});

}  // namespace flywheel::scaling
