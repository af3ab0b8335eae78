// flywheel fit --curves CURVES.csv|FOLDER: fits the multi-power law and two simpler ones to whole loss curves, tests
// them on held-out schedules, and predicts the final losses of unfinished or planned runs (--predict).
#include "cli/fit_curves.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "cli/run_curves.h"
#include "cli/table_file.h"
#include "report/curves_json.h"
#include "report/fit/fit_curves_text.h"
#include "scaling/fit/curves_result.h"
#include "scaling/tables/curve_table.h"

namespace flywheel::cli {
namespace {

struct FitCurvesOptions {
  std::string curves;
  std::vector<std::string> hold_out;  // parts of names
};

std::vector<scaling::Curve> read_curves(const std::string& path, const std::vector<std::string>& columns,
                                        bool loss_required) {
  if (std::filesystem::is_directory(path)) return read_run_curves(path);
  return scaling::parse_curves(
      read_table_file(path, "a table of curves (run, step, lr, loss) or a folder of run directories"), table_name(path),
      loss_required, columns);
}

void run_fit(const FitCurvesOptions& options, const FitCommand& command) {
  if (!std::isfinite(command.huber) || !(command.huber > 0))
    throw_bad_input("--huber {}: expected a finite number above 0, such as 1e-3", command.huber);
  if (options.curves == "-" && command.predict == "-")
    throw_bad_input("--predict -: standard input is read once, and the curves are read from it");
  const auto start = std::chrono::steady_clock::now();
  const std::vector<scaling::Curve> curves = read_curves(options.curves, command.columns, true);
  std::vector<scaling::Curve> planned;
  if (!command.predict.empty()) planned = read_curves(command.predict, command.columns, false);
  const scaling::CurvesResult result =
      scaling::fit_curves_result(curves, planned, {options.curves, command.huber, options.hold_out});
  if (!command.json) {
    report::print_curves(result);
    return;
  }
  OrderedJson object = report::curves_json(result);
  object["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{}\n", json_line(object));
}

}  // namespace

std::function<std::optional<int>()> declare_fit_curves(Arguments& arguments,
                                                       std::shared_ptr<const FitCommand> command) {
  auto options = std::make_shared<FitCurvesOptions>();
  arguments.option(
      "--curves", options->curves,
      "Fit whole loss curves instead: a table (run, step, lr, loss; optional N, tokens_per_step) or a folder of run "
      "directories");
  arguments
      .option("--hold-out", options->hold_out,
              "With --curves: predict the curves with this in their names from the others")
      .separated_by(',');
  return [options, command]() -> std::optional<int> {
    if (options->curves.empty()) {
      if (command->runs.empty())
        throw_bad_input("expected a CSV of runs, or --curves with a CSV of loss curves or a folder of runs");
      return std::nullopt;
    }
    if (!command->runs.empty())
      throw_bad_input("a table of runs and --curves are two different fits; give one of them");
    run_fit(*options, *command);
    return 0;
  };
}

}  // namespace flywheel::cli
