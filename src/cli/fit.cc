// flywheel fit RUNS.csv: scaling laws of anybody's runs, what they forecast, and how such forecasts did on these runs.
#include <fmt/format.h>

#include <cctype>
#include <chrono>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "cli/cli.h"
#include "cli/fit_curves.h"
#include "cli/fit_json.h"
#include "cli/fit_page_data.h"
#include "report/fit_page.h"

namespace flywheel::cli {
namespace {

void print_shared(const OrderedJson& shared) {
  fmt::print("== exponents in common, form {}\n", shared["form"].get<std::string>());
  for (const OrderedJson& group : shared["groups"]) {
    fmt::print("{}:", group["group"].get<std::string>());
    for (const auto& [name, value] : group["parameters"].items()) fmt::print("  {} {:.6g}", name, value.get<double>());
    fmt::print("\n");
  }
}

void print_forms(const OrderedJson& json) {
  for (const OrderedJson& form : json["forms"]) {
    fmt::print("form {}: {}\n  objective {:.8g}, weight {:.3f} among forms of {} runs\n",
               form["name"].get<std::string>(), form["formula"].get<std::string>(), form["objective"].get<double>(),
               form["weight"].get<double>(), form["runs"].get<std::string>());
    for (const auto& [name, value] : form["parameters"].items()) {
      fmt::print("  {:<6} {:>12.6g}", name, value.get<double>());
      if (form["interval95"].contains(name))
        fmt::print("   95% {:.4g} to {:.4g}", form["interval95"][name][0].get<double>(),
                   form["interval95"][name][1].get<double>());
      fmt::print("\n");
    }
  }
  for (const auto& form : json["left_out"])
    fmt::print("form {} left out: {}\n", form["name"].get<std::string>(), form["reason"].get<std::string>());
}

void print_text(const OrderedJson& json) {
  if (json.contains("group")) fmt::print("== {}\n", json["group"].get<std::string>());
  fmt::print("{} runs, losses in {}\n", json["points"].get<size_t>(), json["unit"].get<std::string>());
  print_forms(json);
  for (const char* kind : {"warnings", "notes"})
    for (const auto& note : json[kind]) fmt::print("note: {}\n", note.get<std::string>());
  for (const auto& row : json["outliers"]["rows"])
    fmt::print("outlier: line {}, loss {:.4g}, the law says {:.4g}{}\n", row["line"].get<int>(),
               row["loss"].get<double>(), row["expected"].get<double>(),
               json["outliers"]["dropped"].get<bool>() ? "; dropped" : "");
  fmt::print("forecast at the compute-optimal size (90%, weighted towards the top of the ladder):\n");
  for (const auto& row : json["forecast"])
    fmt::print("  {:>4.0f}x  {:<14}  N {:<7}  D {:<7}  loss {:.4f}  {:.4f} to {:.4f}\n", row["multiply"].get<double>(),
               format_flops(row["flops"].get<double>()), format_count(row["params"].get<double>()),
               format_count(row["tokens"].get<double>()), row["loss"].get<double>(), row["low"].get<double>(),
               row["high"].get<double>());
  for (const auto& row : json["backtest"])
    fmt::print("backtest about {:.0f}x beyond: {} forecasts, median error {:.2f}%, inside 90% interval {:.0f}%\n",
               row["k"].get<double>(), row["points"].get<size_t>(), row["median_error_percent"].get<double>(),
               100 * row["coverage90"].get<double>());
  fmt::print("wall: {} ({})\n", json["wall"]["verdict"].get<std::string>(), json["wall"]["why"].get<std::string>());
  for (const auto& row : json["predictions"])
    fmt::print("prediction N {:.4g} D {:.4g}: {:.4f}  {:.4f} to {:.4f}\n", row["N"].get<double>(),
               row["D"].get<double>(), row["loss"].get<double>(), row["low"].get<double>(), row["high"].get<double>());
  if (json.contains("report")) fmt::print("report: {}\n", json["report"].get<std::string>());
}

// Before the work, not after it.
void check_can_write(const Path& path) {
  const Path folder = path.has_parent_path() ? path.parent_path() : Path(".");
  if (!std::filesystem::is_directory(folder))
    throw_bad_input("--report {}: the folder {} does not exist", path.string(), folder.string());
  if (std::filesystem::is_directory(path)) throw_bad_input("--report {}: is a folder, expected a file", path.string());
}

// OUT.html; for a group OUT.GROUP.html, with what is no letter or digit of the group's name as "_".
Path report_path(const FitCommand& command, const std::string& group) {
  if (group.empty()) return command.report;
  Path path = command.report;
  std::string name;
  for (const char c : group) name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ? c : '_';
  return path.replace_extension(name + (path.has_extension() ? path.extension().string() : ".html"));
}

OrderedJson run_fit(const FitCommand& command) {
  if (command.shared_exponents && command.group.empty())
    throw_bad_input("--shared-exponents needs --group COLUMN: whose laws are to share them?");
  const auto start = std::chrono::steady_clock::now();
  std::vector<FitInput> inputs = read_inputs(command);
  const std::vector<scaling::Point> wanted = read_predictions(command);
  std::set<Path> pages;
  if (!command.report.empty())
    for (const FitInput& input : inputs) {
      const Path page = report_path(command, input.group);
      check_can_write(page);
      if (!pages.insert(page).second)
        throw_bad_input("--report: two groups would be written to {}; rename one of them", page.string());
    }
  std::vector<FitResult> results;
  for (FitInput& input : inputs) results.push_back(fit_input(command, std::move(input)));
  OrderedJson json;
  for (const FitResult& result : results) {
    OrderedJson one = result_json(result, wanted);
    if (!command.report.empty()) {
      const Path path = report_path(command, result.input.group);
      real_file_system().write_atomic(path, report::fit_page(fit_page_data(command, result, one)));
      one["report"] = path.string();
    }
    if (command.group.empty())
      json = std::move(one);
    else
      json["groups"].push_back(std::move(one));
  }
  if (command.shared_exponents) json["shared_exponents"] = shared_exponents_json(command, results);
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return json;
}

}  // namespace

Action declare_fit(CLI::App& app) {
  auto command = std::make_shared<FitCommand>();
  app.add_option("runs", command->runs, "CSV of finished runs: two of N, D, C, and L; may be compressed")->required();
  app.add_option("--forms", command->forms, "Forms of the law, comma-separated; the first one forecasts")
      ->capture_default_str();
  app.add_option("--huber", command->huber, "Huber delta on log residuals")->capture_default_str();
  app.add_option("--drop-highest", command->drop_highest, "Leave out this many of the highest losses");
  app.add_option("--bootstrap", command->bootstrap, "Resamples for intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--reduce", command->reduce, "Several losses of one (N, D): none, mean, median, min, last")
      ->capture_default_str();
  app.add_option("--group", command->group, "Column whose values get a law each");
  app.add_flag("--shared-exponents", command->shared_exponents,
               "With --group: also laws with exponents in common, A, B and E per group");
  app.add_option("--outliers", command->outliers, "Runs far off the law: keep, drop")
      ->check(CLI::IsMember({"keep", "drop"}))
      ->capture_default_str();
  app.add_option("--compute-runs", command->compute_runs, "What forms of compute alone are fitted to: frontier, all")
      ->check(CLI::IsMember({"frontier", "all"}))
      ->capture_default_str();
  app.add_option("--unit", command->unit, "Label of the losses; by default from the column's name");
  app.add_flag("--skip-bad-rows", command->skip_bad_rows, "Leave out rows that cannot be read instead of refusing");
  app.add_option("--predict", command->predict, "CSV of sizes (N, D) to predict");
  app.add_option("--seed", command->seed, "Seed of the resamples")->capture_default_str();
  app.add_option("--threads", command->threads, "Threads; the numbers do not depend on it")->check(CLI::Range(1, 256));
  app.add_flag("--json", command->json, "Print one JSON object");
  app.add_option("--report", command->report, "Write a page here: OUT.html; with --group one per group");
  return [command, curves = declare_fit_curves(app)] {
    if (const auto status = curves()) return *status;
    const OrderedJson json = run_fit(*command);
    if (command->json)
      fmt::print("{}\n", json.dump());
    else if (!json.contains("groups"))
      print_text(json);
    else
      for (const OrderedJson& group : json["groups"]) print_text(group);
    if (!command->json && json.contains("shared_exponents")) print_shared(json["shared_exponents"]);
    return 0;
  };
}

}  // namespace flywheel::cli
