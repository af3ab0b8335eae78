// flywheel fit RUNS.csv: scaling laws of a table of runs, their forecasts, and the backtests of such forecasts.
#include <fmt/format.h>

#include <cctype>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/json.h"
#include "base/log.h"
#include "base/table/column_choice.h"
#include "cli/cli.h"
#include "cli/fit_command.h"
#include "cli/fit_curves.h"
#include "cli/table_file.h"
#include "report/fit/fit_json.h"
#include "report/fit/fit_page.h"
#include "report/fit/fit_page_data.h"
#include "report/fit/fit_text.h"

namespace flywheel::cli {
namespace {

using scaling::FitResult;

scaling::FitRequest request_of(const FitCommand& command) {
  return {.forms = scaling::form_names(command.forms),
          .reduce = scaling::reduce_by_name(command.reduce),
          .group = command.group,
          .columns = command.columns,
          .checkpoints = command.checkpoints,
          .unit = command.unit,
          .huber = command.huber,
          .drop_highest = command.drop_highest,
          .bootstrap = command.bootstrap,
          .threads = command.threads,
          .seed = command.seed,
          .drop_outliers = command.outliers == "drop",
          .compute_sees_frontier = command.compute_runs == "frontier",
          .skip_bad_rows = command.skip_bad_rows};
}

// OUT.html; for a group OUT.GROUP.html, with what is no letter or digit of the group's name as "_".
Path page_path(const FitCommand& command, const std::string& group) {
  if (group.empty() || command.report.empty()) return command.report;
  Path path = command.report;
  std::string name;
  for (const char c : group) name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ? c : '_';
  return path.replace_extension(name + (path.has_extension() ? path.extension().string() : ".html"));
}

// Checks before the fit that every page can be written and has its own path.
void check_pages(const FitCommand& command, const std::vector<scaling::FitInput>& inputs) {
  if (command.report.empty()) return;
  std::set<Path> pages;
  for (const scaling::FitInput& input : inputs) {
    const Path path = page_path(command, input.group);
    const Path folder = path.has_parent_path() ? path.parent_path() : Path(".");
    if (!std::filesystem::is_directory(folder))
      throw_bad_input("--report {}: the folder {} does not exist", path.string(), folder.string());
    if (std::filesystem::is_directory(path))
      throw_bad_input("--report {}: is a folder, expected a file", path.string());
    if (!pages.insert(path).second)
      throw_bad_input("--report: two groups would be written to {}; rename one of them", path.string());
  }
}

std::string columns_again(const FitCommand& command) {
  std::string text;
  for (const std::string& list : command.columns) text += " --columns " + shell_command({list});
  return text;
}

void write_page(const FitCommand& command, const FitResult& result) {
  const std::string file = Path(command.runs).filename().string();
  const std::string again = fmt::format(
      "flywheel fit {} --forms {} --huber {:g} --bootstrap {} --seed {}{}{}{}{}{}{}{}{}{}", file, command.forms,
      command.huber, command.bootstrap, command.seed,
      command.group.empty() ? "" : " --group " + shell_command({command.group}),
      command.unit.empty() ? "" : " --unit " + shell_command({command.unit}),
      command.compute_runs != "frontier" ? " --compute-runs " + command.compute_runs : "",
      command.skip_bad_rows ? " --skip-bad-rows" : "", columns_again(command),
      command.checkpoints ? " --checkpoints" : "",
      command.drop_highest > 0 ? fmt::format(" --drop-highest {}", command.drop_highest) : "",
      command.reduce != "none" ? " --reduce " + command.reduce : "", result.dropped ? " --outliers drop" : "");
  real_file_system().write_atomic(page_path(command, result.input.group),
                                  report::fit_page(report::fit_page_data(result, {file, again, FLYWHEEL_VERSION})));
}

OrderedJson json_of(const FitCommand& command, const std::vector<FitResult>& results) {
  // --group COLUMN=VALUE is one fit; a group's name is empty then.
  const bool by_group = !command.group.empty() && !(results.size() == 1 && results[0].input.group.empty());
  OrderedJson json;
  for (const FitResult& result : results) {
    OrderedJson one = report::fit_json(result);
    if (!command.report.empty()) one["report"] = page_path(command, result.input.group).string();
    if (!by_group)
      json = std::move(one);
    else
      json["groups"].push_back(std::move(one));
  }
  return json;
}

// The columns chosen for the runs count here too, where the table has them.
std::vector<scaling::Point> wanted_sizes(const FitCommand& command) {
  const std::string name = table_name(command.predict);
  Table table = Table::read(read_table_file(command.predict, "a table of sizes"), name);
  std::vector<std::string> columns;
  for (const std::string& list : command.columns) {
    Table tried = table;
    try {
      choose_columns(tried, {list}, scaling::run_quantities());
      table = std::move(tried);
    } catch (const Error&) {
    }
  }
  scaling::TableOptions options;
  options.loss_required = false;
  return scaling::parse_runs(table, options).points;
}

void run_fit(const FitCommand& command) {
  if (!std::isfinite(command.huber) || !(command.huber > 0))
    throw_bad_input("--huber {}: expected a finite number above 0, such as 1e-3", command.huber);
  if (command.runs == "-" && command.predict == "-")
    throw_bad_input("--predict -: standard input is read once, and the runs are read from it");
  if (command.shared_exponents && command.group.empty())
    throw_bad_input("--shared-exponents needs --group COLUMN: whose laws are to share them?");
  const auto start = std::chrono::steady_clock::now();
  const scaling::FitRequest request = request_of(command);
  std::vector<scaling::FitInput> inputs =
      scaling::fit_inputs(read_table_file(command.runs), table_name(command.runs), request);
  for (const std::string& warning : inputs.front().table.warnings) log_warning(warning);
  std::vector<scaling::Point> wanted;
  if (!command.predict.empty()) wanted = wanted_sizes(command);
  check_pages(command, inputs);
  std::vector<FitResult> results;
  for (scaling::FitInput& input : inputs) results.push_back(scaling::fit_input(request, std::move(input), wanted));
  if (!command.report.empty())
    for (const FitResult& result : results) write_page(command, result);
  std::vector<scaling::Fit> shared;
  if (command.shared_exponents) shared = scaling::shared_exponents(request, results);
  const std::string& form = request.forms.front();
  if (command.json) {
    OrderedJson json = json_of(command, results);
    if (command.shared_exponents) json["shared_exponents"] = report::shared_exponents_json(form, results, shared);
    json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{}\n", json_line(json));
    return;
  }
  for (const FitResult& result : results) report::print_fit(result, page_path(command, result.input.group).string());
  if (command.shared_exponents) report::print_shared_exponents(form, results, shared);
}

}  // namespace

Action declare_fit(Arguments& arguments) {
  auto command = std::make_shared<FitCommand>();
  arguments.option("runs", command->runs,
                   "Table of finished runs (CSV, TSV, JSONL; - for standard input): two of N, D, C, and L");
  arguments.option("--columns", command->columns, kColumnsHelp).repeatable();
  arguments
      .option("--forms", command->forms,
              "Forms of the law, comma-separated; outliers are judged by the first, forecasts are the forecaster's")
      .show_default();
  arguments.option("--huber", command->huber, "Huber delta on log residuals").show_default();
  arguments.option("--drop-highest", command->drop_highest, "Leave out this many of the highest losses");
  arguments.option("--bootstrap", command->bootstrap, "Resamples for intervals").range(0, 1000000).show_default();
  arguments.option("--reduce", command->reduce, "Several losses of one (N, D): none, mean, median, min, last")
      .show_default();
  arguments.option("--group", command->group,
                   "Column whose values get a law each; COLUMN=VALUE: one law, of these rows");
  arguments.flag("--checkpoints", command->checkpoints,
                 "Count every checkpoint of a run, not only the last one of each");
  arguments.flag("--shared-exponents", command->shared_exponents,
                 "With --group: also laws with exponents in common, A, B and E per group");
  arguments.option("--outliers", command->outliers, "Runs far off the law: keep, drop")
      .one_of({"keep", "drop"})
      .show_default();
  arguments.option("--compute-runs", command->compute_runs, "What forms of compute alone are fitted to: frontier, all")
      .one_of({"frontier", "all"})
      .show_default();
  arguments.option("--unit", command->unit, "Label of the losses; by default from the column's name");
  arguments.flag("--skip-bad-rows", command->skip_bad_rows, "Leave out rows that cannot be read instead of refusing");
  arguments.option("--predict", command->predict, "Table of sizes (N, D) to predict");
  arguments.option("--seed", command->seed, "Seed of the resamples").show_default();
  arguments.option("--threads", command->threads, "Threads; the numbers do not depend on it").range(1, 256);
  arguments.flag("--json", command->json, "Print one JSON object");
  arguments.option("--report", command->report, "Write a page here: OUT.html; with --group one per group");
  return [command, curves = declare_fit_curves(arguments, command)] {
    if (const auto status = curves()) return *status;
    run_fit(*command);
    return 0;
  };
}

}  // namespace flywheel::cli
