#include "scaling/fit/judged_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/fit/fit_result.h"

namespace flywheel::scaling {
namespace {

constexpr const char* kOfRepeatedData = "data_constrained";

bool is_repeated(const Point& p) {
  return p.U > 0 && p.U < 0.999 * p.D;
}

// R_D for runs that repeat their data (U below D), which the forecaster, knowing sizes and tokens only, needs: from the
// form data_constrained where it is among the fits and identified; 0 where it is not, or where nothing repeats. A note
// says which.
double reuse_of(std::span<const Point> points, const std::vector<FormFit>& forms, std::vector<std::string>& notes) {
  const auto repeated = std::count_if(points.begin(), points.end(), is_repeated);
  if (repeated == 0) return 0;
  const auto form = std::find_if(forms.begin(), forms.end(), [](const FormFit& f) {
    return f.form == kOfRepeatedData && f.left_out.empty() && f.fit.identified && !f.fit.not_identified.contains("R_D");
  });
  if (form == forms.end()) {
    notes.push_back(fmt::format(
        "{} runs repeat their data, and the form {} is not identified here: forecasts count all tokens alike", repeated,
        kOfRepeatedData));
    return 0;
  }
  const double reuse = form->fit.law.parameters.at("R_D");
  notes.push_back(
      fmt::format("{} runs repeat their data: forecasts count their tokens as {} does (R_D = {:.3g}) and are for fresh "
                  "data; the backtests know R_D beforehand",
                  repeated, kOfRepeatedData, reuse));
  return reuse;
}

// What is known of shapes, and which the best size is of.
void note_shapes(std::span<const Point> points, const Forecaster& forecaster, std::vector<std::string>& notes) {
  const auto known = std::count_if(points.begin(), points.end(), [](const Point& p) { return p.aspect > 0; });
  if (known == 0) return;
  const auto largest = std::max_element(points.begin(), points.end(),
                                        [](const Point& a, const Point& b) { return flops_of(a) < flops_of(b); });
  const double typical = forecaster.typical_aspect(largest->N);
  const auto all = static_cast<std::ptrdiff_t>(points.size());
  if (known < all)
    notes.push_back(fmt::format("{} of {} runs have no usable width and depth{}", all - known, all,
                                typical > 0 ? ": their shapes count as unknown"
                                            : ", and too few others differ in shape: shapes count as unknown"));
  if (typical > 0)
    notes.push_back(
        fmt::format("shapes differ: best sizes and their losses are of models shaped as those of the frontier are, "
                    "width over depth about {:.3g} at the top; a prediction may name its own",
                    typical));
}

}  // namespace

Point in_fresh_tokens(Point p, double reuse) {
  if (reuse <= 0 || !is_repeated(p)) return p;
  const double fresh = p.U * (1 + reuse * -std::expm1(-(p.D / p.U - 1) / reuse));
  p.C = flops_of(p) * fresh / p.D;
  p.D = fresh;
  return p;
}

JudgedRuns judge_runs(std::span<const Point> points, const FitOptions& options, const std::vector<std::string>& forms) {
  FitOptions plain = published_options();
  plain.bootstrap = options.bootstrap;
  plain.seed = options.seed;
  plain.threads = options.threads;
  std::vector<std::string> names = forms;
  if (std::any_of(points.begin(), points.end(), is_repeated) &&
      std::find(names.begin(), names.end(), kOfRepeatedData) == names.end())
    names.emplace_back(kOfRepeatedData);
  const std::vector<FormFit> fits = fit_forms(points, plain, names);
  JudgedRuns judged = judge_fits(points, fits);
  // Too few runs for a plain fit: a prior holds the parameters.
  if (favoured_fit(fits) == nullptr && !fits.front().left_out.empty()) judged.law = fit(points, options);
  return judged;
}

JudgedRuns judge_fits(std::span<const Point> points, const std::vector<FormFit>& fits) {
  std::vector<std::string> notes;
  const double reuse = reuse_of(points, fits, notes);
  std::vector<Point> fresh(points.begin(), points.end());
  for (Point& p : fresh) p = in_fresh_tokens(p, reuse);
  const Fit* favoured = favoured_fit(fits);
  JudgedRuns judged{.forecaster = Forecaster(fresh),
                    .backtest = backtest(fresh),
                    .law = favoured != nullptr ? *favoured : fits.front().fit,
                    .optimum = {},
                    .notes = std::move(notes),
                    .reuse = reuse};
  note_shapes(points, judged.forecaster, judged.notes);
  judged.forecaster.error_inflation = ErrorInflation(judged.backtest);
  // A form's best sizes are for tokens as they were counted, repeated ones included.
  judged.optimum = optimum_of(fresh, judged.forecaster, reuse > 0 ? nullptr : favoured);
  return judged;
}

}  // namespace flywheel::scaling
