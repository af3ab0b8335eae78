// What `flywheel fit` finds out about one table of runs, before it becomes JSON or a page.
#pragma once

#include <vector>

#include "cli/fit_input.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/evidence.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::cli {

struct FitResult {
  FitInput input;                          // without the outliers, when these were dropped
  std::vector<scaling::FormFit> forms;     // the first one is that of allocation and outliers
  std::vector<scaling::Outlier> outliers;  // of `outlier_rows`, the worst first
  scaling::RunsTable outlier_table;        // what their indices speak of
  bool dropped = false;
  // R_D of the form data_constrained, by which forecaster, backtests and wall test count repeated tokens; 0: all alike.
  double reuse = 0;
  scaling::Forecaster forecaster;
  std::vector<scaling::BacktestRow> backtest;
  scaling::Wall wall;
};

// The options of the plain fits, as the command says.
scaling::FitOptions published_options(const FitCommand& command);
// Throws kBadInput as scaling::fit() does.
FitResult fit_input(const FitCommand& command, FitInput input);
// The point in tokens that are worth as much fresh ones, C in proportion; itself for reuse 0 and for data seen once.
scaling::Point in_fresh_tokens(scaling::Point point, double reuse);

}  // namespace flywheel::cli
