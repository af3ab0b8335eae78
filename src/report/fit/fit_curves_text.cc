#include "report/fit/fit_curves_text.h"

#include <fmt/format.h>

#include <cmath>

#include "report/text_rows.h"

namespace flywheel::report {
namespace {

void print_errors(const scaling::CurveFormResult& form) {
  fmt::print("  {:<12} median error {:.3f}%, of the ends {:.3f}%\n", name_of(form.form), form.errors.median_percent,
             form.errors.median_final_percent);
}

void print_end(const scaling::EndForecast& end) {
  const scaling::CurvePrediction& p = end.prediction;
  fmt::print("  end of {} at step {:.0f}: {:.4f}", p.name, p.step, p.loss);
  if (std::isfinite(p.low)) fmt::print("  {:.4f} to {:.4f} (90%)", p.low, p.high);
  if (end.measured) fmt::print("  measured {:.4f}", *end.measured);
  fmt::print("\n");
}

}  // namespace

void print_curves(const scaling::CurvesResult& result) {
  const scaling::CurveLaw& law = result.forecaster.law;
  fmt::print("{} curves, {} points; rates relative to the highest of a size\n", result.curves, law.points);
  for (const scaling::CurveFormResult& form : result.forms) {
    fmt::print("  {:<12}", name_of(form.form));
    for (const auto& [name, value] : form.law.parameters()) fmt::print(" {} {:.4g} ", name, value);
    fmt::print("\n");
  }
  for (const std::string& warning : law.warnings) print_folded("note: " + warning);
  fmt::print("fit:\n");
  for (const scaling::CurveFormResult& form : result.forms) print_errors(form);
  for (const scaling::HeldOutResult& held : result.held_out) {
    std::vector<std::string> names;
    for (const scaling::CurveError& error : held.forms.front().errors.curves) names.push_back(error.name);
    fmt::print("held out {}{}:\n", fmt::join(names, ", "), held.decay_seen ? "" : " (no decay was fitted)");
    for (const scaling::CurveFormResult& form : held.forms) print_errors(form);
    for (const scaling::EndForecast& end : held.forecasts) print_end(end);
  }
  fmt::print("forecasts by {}; its errors on\n", name_of(law.layout.form));
  const std::pair<const char*, const std::optional<scaling::CurveErrors>*> tests[] = {
      {"leave_one_out", &result.one_out},
      {"leave_schedule_out", &result.new_schedule},
      {"leave_size_out", &result.new_size},
      {"leave_longest_out", &result.longer}};
  for (const auto& [name, errors] : tests)
    if (*errors)
      fmt::print("  {:<18}  median error {:.3f}%, of the ends {:.3f}%\n", name, (*errors)->median_percent,
                 (*errors)->median_final_percent);
  for (const scaling::EndForecast& end : result.predictions) print_end(end);
}

}  // namespace flywheel::report
