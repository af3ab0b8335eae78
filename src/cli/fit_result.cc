#include "cli/fit_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace flywheel::cli {
namespace {

using scaling::FormFit;
using scaling::Point;

bool repeats(const Point& p) {
  return p.U > 0 && p.U < 0.999 * p.D;
}

// R_D for runs that repeat their data, which the forecaster, knowing sizes and tokens only, needs.
double reuse_of(FitInput& input, const std::vector<FormFit>& forms) {
  const auto repeated = std::count_if(input.points.begin(), input.points.end(), repeats);
  if (repeated == 0) return 0;
  const auto form = std::find_if(forms.begin(), forms.end(), [](const FormFit& f) {
    return f.form == "data_constrained" && f.left_out.empty() && f.fit.identified;
  });
  if (form == forms.end()) {
    input.notes.push_back(fmt::format(
        "{} runs repeat their data, and the form data_constrained was not fitted: forecasts count all tokens alike",
        repeated));
    return 0;
  }
  const double reuse = form->fit.law.parameters.at("R_D");
  input.notes.push_back(
      fmt::format("{} runs repeat their data: forecasts count their tokens as data_constrained does (R_D = {:.3g}) and "
                  "are for fresh data; the backtests know R_D beforehand",
                  repeated, reuse));
  return reuse;
}

}  // namespace

// Muennighoff et al. 2023, equation 5.
Point in_fresh_tokens(Point p, double reuse) {
  if (reuse <= 0 || !repeats(p)) return p;
  const double fresh = p.U * (1 + reuse * (1 - std::exp(-(p.D / p.U - 1) / reuse)));
  p.C = scaling::flops_of(p) * fresh / p.D;
  p.D = fresh;
  p.U = 0;
  return p;
}

scaling::FitOptions published_options(const FitCommand& command) {
  scaling::FitOptions options = scaling::published_options();
  options.huber_delta = command.huber;
  options.bootstrap = command.bootstrap;
  options.seed = command.seed;
  options.threads = command.threads;
  options.compute_sees_frontier = command.compute_runs == "frontier";
  return options;
}

FitResult fit_input(const FitCommand& command, FitInput input) {
  const std::vector<std::string> names = wanted_forms(command);
  std::vector<FormFit> forms = scaling::fit_forms(input.points, published_options(command), names);
  const scaling::RunsTable seen = input.table;
  std::vector<scaling::Outlier> outliers = scaling::outliers(input.table.points, forms.front().fit.law);
  const bool drop = command.outliers == "drop" && !outliers.empty();
  if (drop) {
    std::vector<size_t> rows;
    for (const scaling::Outlier& o : outliers) rows.push_back(o.index);
    drop_rows(input, rows);
    forms = scaling::fit_forms(input.points, published_options(command), names);
  }
  const double reuse = reuse_of(input, forms);
  std::vector<Point> points = input.points;
  for (Point& p : points) p = in_fresh_tokens(p, reuse);
  scaling::FitOptions wall_options;
  wall_options.huber_delta = command.huber;
  wall_options.bootstrap = std::min(command.bootstrap, 100);
  wall_options.seed = command.seed;
  wall_options.threads = command.threads;
  FitResult result{.input = std::move(input),
                   .forms = std::move(forms),
                   .outliers = std::move(outliers),
                   .outlier_table = seen,
                   .dropped = drop,
                   .reuse = reuse,
                   .forecaster = scaling::Forecaster(points),
                   .backtest = scaling::backtest(points, 3),
                   .wall = scaling::wall_test(points, wall_options)};
  result.forecaster.error_inflation = scaling::inflation_from_backtest(result.backtest);
  return result;
}

}  // namespace flywheel::cli
