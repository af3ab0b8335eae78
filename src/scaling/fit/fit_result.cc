#include "scaling/fit/fit_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "scaling/fit/judged_runs.h"
#include "scaling/laws/form.h"
#include "scaling/laws/groups.h"

namespace flywheel::scaling {
namespace {

FitOptions plain_options(const FitRequest& request) {
  FitOptions options = published_options();
  options.huber_delta = request.huber;
  options.bootstrap = request.bootstrap;
  options.seed = request.seed;
  options.threads = request.threads;
  options.compute_sees_frontier = request.compute_sees_frontier;
  return options;
}

std::vector<ForecastRow> forecasts(const OptimumRule& rule, const Forecaster& forecaster) {
  std::vector<ForecastRow> rows;
  for (const double multiply : {3.0, 10.0, 100.0}) {
    const double flops = multiply * forecaster.highest_flops();
    if (rule.reaches(flops)) rows.push_back({multiply, flops, rule.at(forecaster, flops)});
  }
  return rows;
}

// Each backtest counts for the distance that it is nearest to.
std::vector<BacktestSummary> by_distance(const std::vector<BacktestRow>& rows) {
  constexpr double kDistances[] = {3, 10, 30, 100};
  std::vector<BacktestSummary> summaries;
  for (const double k : kDistances) {
    std::vector<double> errors;
    int inside = 0;
    for (const BacktestRow& row : rows) {
      const double off = std::abs(row.decades - std::log10(k));
      const bool nearest = std::none_of(std::begin(kDistances), std::end(kDistances),
                                        [&](double other) { return std::abs(row.decades - std::log10(other)) < off; });
      if (!nearest) continue;
      errors.push_back(std::abs(row.error_percent));
      inside += row.inside;
    }
    if (errors.empty()) continue;
    const size_t n = errors.size();
    summaries.push_back({k, n, median(std::move(errors)), static_cast<double>(inside) / static_cast<double>(n)});
  }
  return summaries;
}

}  // namespace

const Fit* favoured_fit(const std::vector<FormFit>& forms) {
  const FormFit* best = nullptr;
  for (const FormFit& f : forms)
    if (f.left_out.empty() && f.fit.identified && find_form(f.form)->sees == Form::Sees::kSizes &&
        (best == nullptr || f.weight > best->weight))
      best = &f;
  return best == nullptr ? nullptr : &best->fit;
}

FitResult fit_input(const FitRequest& request, FitInput input, const std::vector<Point>& wanted) {
  std::vector<FormFit> forms = fit_forms(input.points, plain_options(request), request.forms);
  const RunsTable seen = input.table;
  std::vector<Outlier> found = outliers(input.table.points, forms.front().fit.law);
  const bool drop = request.drop_outliers && !found.empty();
  if (drop) {
    std::vector<size_t> rows;
    for (const Outlier& o : found) rows.push_back(o.index);
    drop_rows(input, rows);
    forms = fit_forms(input.points, plain_options(request), request.forms);
  }
  JudgedRuns judged = judge_fits(input.points, forms);
  input.notes.insert(input.notes.end(), judged.notes.begin(), judged.notes.end());
  const double reuse = judged.reuse;
  std::vector<Point> points = input.points;
  for (Point& p : points) p = in_fresh_tokens(p, reuse);
  FitResult result{.input = std::move(input),
                   .forms = std::move(forms),
                   .outliers = std::move(found),
                   .outlier_table = seen,
                   .dropped = drop,
                   .reuse = reuse,
                   .forecaster = std::move(judged.forecaster),
                   .backtest = std::move(judged.backtest),
                   .wall = wall_test(points, request.seed),
                   .optimum = std::move(judged.optimum),
                   .forecast = {},
                   .by_distance = {},
                   .predictions = {}};
  result.forecast = forecasts(result.optimum, result.forecaster);
  if (result.forecast.size() < 3)
    result.input.notes.push_back(
        fmt::format("these runs span {:.1f}x in compute, so forecasts are carried to {:.1f}x beyond the highest and no "
                    "further: add runs of other compute",
                    result.optimum.highest_flops / result.optimum.lowest_flops,
                    result.optimum.reach_flops / result.optimum.highest_flops));
  result.by_distance = by_distance(result.backtest);
  for (const Point& p : wanted) {
    const Point fresh = in_fresh_tokens(p, reuse);
    result.predictions.push_back({p, result.forecaster.predict(fresh.N, fresh.D, fresh.aspect),
                                  averaged_loss(result.forms, p.N, p.D, p.C, p.U)});
  }
  return result;
}

std::vector<Fit> shared_exponents(const FitRequest& request, const std::vector<FitResult>& results) {
  std::vector<std::vector<Point>> groups;
  for (const FitResult& result : results) groups.push_back(result.input.points);
  FitOptions options = plain_options(request);
  options.form = request.forms.front();
  return fit_shared_exponents(groups, options);
}

}  // namespace flywheel::scaling
