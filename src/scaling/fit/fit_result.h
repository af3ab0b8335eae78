// The results of fitting one table of runs, before they become JSON, text or a page.
#pragma once

#include <vector>

#include "scaling/allocation/optimum_rule.h"
#include "scaling/fit/fit_input.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/forecast/wall.h"
#include "scaling/laws/form_weights.h"

namespace flywheel::scaling {

struct ForecastRow {
  double multiply = 0;  // of the highest compute among the runs
  double flops = 0;
  Optimum optimum;
};

// Backtests that were about k times beyond the runs fitted.
struct BacktestSummary {
  double k = 0;
  size_t points = 0;  // forecasts
  double median_error_percent = 0, coverage90 = 0;
};

struct PredictionRow {
  Point wanted;
  Optimum predicted;
  double averaged = 0;  // the forms' losses by their weights
};

struct FitResult {
  FitInput input;                 // without the outliers, when these were dropped
  std::vector<FormFit> forms;     // the first one is that of outliers and residuals
  std::vector<Outlier> outliers;  // of `outlier_table`, the worst first
  RunsTable outlier_table;        // what their indices speak of
  bool dropped = false;
  // R_D of the form data_constrained, by which forecaster, backtests and wall test count repeated tokens; 0: all alike.
  double reuse = 0;
  Forecaster forecaster;
  std::vector<BacktestRow> backtest;
  Wall wall;
  OptimumRule optimum;
  std::vector<ForecastRow> forecast;         // 3, 10 and 100 times the highest compute, those that the runs carry
  std::vector<BacktestSummary> by_distance;  // about 3, 10, 30 and 100 times beyond, those that there are
  std::vector<PredictionRow> predictions;    // of the sizes asked for

  const Fit& first() const { return forms.front().fit; }
};

// The form of N and D that the runs favour; null: none with exponents that they identify. Its best sizes belong into
// the interval of the optimum.
const Fit* favoured_fit(const std::vector<FormFit>& forms);

// `wanted`: sizes to predict the loss of. Throws kBadInput as fit() does.
FitResult fit_input(const FitRequest& request, FitInput input, const std::vector<Point>& wanted);

// The first form once more with its exponents in common to all groups: one fit per result.
std::vector<Fit> shared_exponents(const FitRequest& request, const std::vector<FitResult>& results);

}  // namespace flywheel::scaling
