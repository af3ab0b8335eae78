#include "report/fit/fit_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "report/text_rows.h"
#include "scaling/laws/form.h"

namespace flywheel::report {
namespace {

using scaling::FitResult;
using scaling::FormFit;

constexpr size_t kListed = 20;  // outliers

void print_forms(const std::vector<FormFit>& forms) {
  for (const FormFit& form : forms) {
    if (!form.left_out.empty()) continue;
    fmt::print("form {}: {}\n  objective {:.8g}, weight {:.3f} among forms of {} runs\n", form.form,
               scaling::find_form(form.form)->formula, form.fit.law.objective, form.weight, name_of(form.runs));
    for (const auto& [name, value] : form.fit.law.parameters) {
      if (const auto why = form.fit.not_identified.find(name); why != form.fit.not_identified.end()) {
        fmt::print("  {:<6} not identified: {}\n", name, why->second);
        continue;
      }
      fmt::print("  {:<6} {:>12.6g}", name, value);
      const auto interval = form.fit.interval95.find(name);
      if (interval != form.fit.interval95.end())
        fmt::print("   95% {:.4g} to {:.4g}", interval->second.first, interval->second.second);
      fmt::print("\n");
    }
  }
  for (const FormFit& form : forms)
    if (!form.left_out.empty()) print_folded(fmt::format("form {} left out: {}", form.form, form.left_out));
}

void print_optimum(const FitResult& result) {
  const scaling::OptimumRule& rule = result.optimum;
  if (rule.identified)
    print_folded(fmt::format("the best size grows as compute to the power a = {:.3f} (95%: {:.3f} to {:.3f}); {}",
                             rule.a.value, rule.a.low, rule.a.high, rule.why));
  else
    print_folded("no compute-optimal size is identified: " + rule.why);
  for (const scaling::WantedRun& run : rule.runs_to_identify)
    fmt::print("  a run that would tell: N {:<7}  D {:<7}  {}\n", format_count(run.N), format_count(run.D),
               format_flops(run.flops));
  for (const std::string& warning : rule.warnings) print_folded("note: " + warning);
  if (!result.forecast.empty())
    fmt::print("forecast {} (90%), by the {}:\n",
               rule.identified ? "at the compute-optimal size" : "along the ladder's own path of size and tokens",
               rule.model);
  for (const scaling::ForecastRow& row : result.forecast)
    fmt::print("  {:>4.0f}x  {:<14}  N {:<7}  D {:<7}  loss {:.4f}  {:.4f} to {:.4f}\n", row.multiply,
               format_flops(row.flops), format_count(row.optimum.N), format_count(row.optimum.D), row.optimum.loss,
               row.optimum.low, row.optimum.high);
}

}  // namespace

void print_fit(const FitResult& result, const std::string& page) {
  if (!result.input.group.empty()) fmt::print("== {}\n", result.input.group);
  fmt::print("{} runs, losses in {}\n", result.input.table.points.size(), result.input.table.unit);
  print_forms(result.forms);
  for (const std::string& note : result.first().warnings) print_folded("note: " + note);
  for (const std::string& note : result.input.notes) print_folded("note: " + note);
  for (size_t i = 0; i < std::min(kListed, result.outliers.size()); ++i) {
    const scaling::Outlier& o = result.outliers[i];
    fmt::print("outlier: line {}, loss {:.4g}, the law says {:.4g}{}\n", result.outlier_table.rows[o.index],
               result.outlier_table.points[o.index].L, o.expected, result.dropped ? "; dropped" : "");
  }
  print_optimum(result);
  for (const scaling::BacktestSummary& row : result.by_distance)
    fmt::print("backtest about {:.0f}x beyond: {} forecasts, median error {:.2f}%, inside 90% interval {:.0f}%\n",
               row.k, row.points, row.median_error_percent, 100 * row.coverage90);
  print_folded(fmt::format("wall: {} ({})", name(result.wall.verdict), result.wall.why));
  for (const scaling::PredictionRow& row : result.predictions)
    fmt::print("prediction N {:.4g} D {:.4g}: {:.4f}  {:.4f} to {:.4f}\n", row.wanted.N, row.wanted.D,
               row.predicted.loss, row.predicted.low, row.predicted.high);
  if (!page.empty()) fmt::print("report: {}\n", page);
}

void print_shared_exponents(const std::string& form, const std::vector<FitResult>& results,
                            const std::vector<scaling::Fit>& fits) {
  fmt::print("== exponents in common, form {}\n", form);
  for (size_t g = 0; g < fits.size(); ++g) {
    fmt::print("{}:", results[g].input.group);
    for (const auto& [name, value] : fits[g].law.parameters) fmt::print("  {} {:.6g}", name, value);
    fmt::print("\n");
  }
}

}  // namespace flywheel::report
