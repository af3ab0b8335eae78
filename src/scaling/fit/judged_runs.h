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
#include "scaling/laws/form_weights.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct JudgedRuns {
  Forecaster forecaster;
  std::vector<BacktestRow> backtest;
  Fit law;  // by published_options(); the first form where none is favoured, held by a prior where runs are too few
  OptimumRule optimum;
  std::vector<std::string> notes;
  // R_D of the form data_constrained, by which forecaster, backtests and optimum count repeated tokens; 0: all alike.
  double reuse = 0;
};

// `options`: bootstrap, seed and threads are used. `forms`: that the law is chosen from, at least one. Throws kBadInput
// as fit().
JudgedRuns judge_runs(std::span<const Point> points, const FitOptions& options,
                      const std::vector<std::string>& forms = {"chinchilla", "tied", "kappa"});
// The same of forms that are fitted; the law is the first form's where none is favoured.
JudgedRuns judge_fits(std::span<const Point> points, const std::vector<FormFit>& fits);

// The point in effective (fresh) tokens, C in proportion; itself for reuse 0 and for data seen once (Muennighoff et al.
// 2023, equation 5). U stays, for the wall test to see which runs repeat.
Point in_fresh_tokens(Point p, double reuse);

}  // namespace flywheel::scaling
