// What finished runs say of more compute: the forecaster with intervals as wide as its own backtests ask, the plain law
// that they favour, and the optimum. One function, so that plan, campaign and report agree. Pure; deterministic for a
// seed; threads as in fit().
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scaling/allocation/optimum_rule.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct JudgedRuns {
  Forecaster forecaster;
  std::vector<BacktestRow> backtest;
  Fit law;  // by published_options(); the first form where none is favoured, held by a prior where runs are too few
  OptimumRule optimum;
};

// `options`: bootstrap, seed and threads are used. `forms`: that the law is chosen from, at least one. Throws kBadInput
// as fit().
JudgedRuns judge_runs(std::span<const Point> points, const FitOptions& options,
                      const std::vector<std::string>& forms = {"chinchilla", "tied", "kappa"});

}  // namespace flywheel::scaling
