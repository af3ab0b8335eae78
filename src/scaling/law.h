// Scaling laws: fit, intervals, allocation, forecast, backtest, wall. Pure functions of points; deterministic for a seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace flywheel::scaling {

struct Point {
  double N = 0;  // parameters
  double D = 0;  // training tokens
  double L = 0;  // loss, any unit (nats per token, bits per byte)
  double C = 0;  // training FLOPs; 0: 6 N D
};

struct FitOptions {
  double huber_delta = 1e-3;   // on log residuals, summed (Hoffmann et al. 2022, appendix D.3)
  int bootstrap = 400;
  uint64_t seed = 1;
  int threads = 1;             // the numbers do not depend on it
  std::string form = "chinchilla";
};

// A fitted form. Parameters by name, so that other forms fit the same interface.
struct Law {
  std::string form;
  std::map<std::string, double> parameters;  // chinchilla: A, B, E, alpha, beta
  double objective = 0;
  int points = 0;
  double residual_sd = 0;  // robust, of log loss
  double loss(double N, double D) const;
};

struct Fit {
  Law law;
  std::vector<Law> resamples;                // bootstrap
  std::map<std::string, std::pair<double, double>> interval95;
  bool identified = true;                    // false: the data cannot tell the exponents apart
  std::vector<std::string> warnings;         // what is missing and what would cure it
  double error_inflation = 1;                // intervals are widened by this (from backtests), never narrowed
};

// Throws kBadInput for fewer than 5 points, non-positive or non-finite values.
Fit fit(std::span<const Point> points, const FitOptions& options);

// How FLOPs become tokens for a size: C = 6 N D unless a family says otherwise.
struct Optimum {
  double N = 0, D = 0, loss = 0, low = 0, high = 0;  // 90% prediction interval
};
Optimum compute_optimal(const Fit& fit, double flops);
// Prediction with its interval at a given size (bootstrap spread, residual noise, backtest inflation).
Optimum predict(const Fit& fit, double N, double D);

struct BacktestRow {
  double train_below_flops = 0, held_out_flops = 0;
  double predicted = 0, low = 0, high = 0, measured = 0, error_percent = 0;
  bool inside = false;
};
// Rolling origin: for each compute level with enough points below it, fit below, predict the best loss at the level.
std::vector<BacktestRow> backtest(std::span<const Point> points, const FitOptions& options);
// The error_inflation for which the backtest errors lie inside their 90% intervals.
double inflation_from_backtest(const std::vector<BacktestRow>& rows);

struct Wall {
  std::string verdict;  // "none seen", "wall", "cannot tell"
  double slope = 0, slope_low = 0, slope_high = 0;  // of ln(best loss) against ln C at the top end
  double smallest_detectable = 0;
  std::string why;
};
Wall wall_test(std::span<const Point> points, const FitOptions& options);

}  // namespace flywheel::scaling
