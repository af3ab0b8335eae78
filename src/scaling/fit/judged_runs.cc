#include "scaling/fit/judged_runs.h"

#include "scaling/fit/fit_result.h"
#include "scaling/laws/form_weights.h"

namespace flywheel::scaling {

JudgedRuns judge_runs(std::span<const Point> points, const FitOptions& options, const std::vector<std::string>& forms) {
  JudgedRuns judged{.forecaster = Forecaster(points), .backtest = backtest(points, 3), .law = {}, .optimum = {}};
  judged.forecaster.error_inflation = inflation_from_backtest(judged.backtest);
  FitOptions plain = published_options();
  plain.bootstrap = options.bootstrap;
  plain.seed = options.seed;
  plain.threads = options.threads;
  const std::vector<FormFit> fits = fit_forms(points, plain, forms);
  const Fit* favoured = favoured_fit(fits);
  if (favoured != nullptr)
    judged.law = *favoured;
  else if (fits.front().left_out.empty())
    judged.law = fits.front().fit;
  else
    judged.law = fit(points, options);  // too few runs for a plain fit: a prior holds the parameters
  judged.optimum = optimum_of(points, judged.forecaster, favoured);
  return judged;
}

}  // namespace flywheel::scaling
