// flywheel plan: what to train with a budget, from a table of runs or a lab: size, tokens, rates, loss, time, the cost
// of other sizes, and the plan for a model that will be served.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/format.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/plan_source.h"
#include "cli/table_file.h"
#include "report/plan_text.h"

namespace flywheel::cli {
namespace {

struct PlanOptions {
  std::vector<std::string> flops, seconds;
  PlanTable table;
  std::string lab, inference, rate, peak, form;
  double mfu = 0, gpus = 1;
  int bootstrap = 400, threads = 1;
  uint64_t seed = 1;
  bool json = false;
};

struct Rate {
  double flops_per_second = 0;  // of one device; 0: not known
  double gpus = 1;
};

double amount(const char* option, const std::string& text, double lowest, double highest) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= lowest) || !(value <= highest))
    throw_bad_input("{} \"{}\": expected a number between {:g} and {:g}, such as 1e12", option, text, lowest, highest);
  return value;
}

constexpr double kMostFlops = 1e29;  // the world has computed less

double flops_of_budget(const std::string& text) {
  const Budget budget = parse_budget(text);
  if (budget.flops <= 0) throw_bad_input("--flops \"{}\": is a time; give it as --seconds, with a rate", text);
  if (budget.flops > kMostFlops)
    throw_bad_input("--flops \"{}\": a budget above {:g} FLOPs is nobody's; expected a number such as 1e21", text,
                    kMostFlops);
  return budget.flops;
}

Rate rate_of(const PlanOptions& options, const PlanSource& source) {
  Rate rate;
  if (!std::isfinite(options.gpus) || options.gpus <= 0 || options.gpus > 1e7)
    throw_bad_input("--gpus {}: expected the number of devices, above 0", options.gpus);
  rate.gpus = options.gpus;
  if (!options.rate.empty()) {
    if (!options.peak.empty() || options.mfu != 0)
      throw_bad_input("--flops-per-second says what --mfu and --peak would; give one or the other");
    rate.flops_per_second = amount("--flops-per-second", options.rate, 1, 1e21);
  } else if (!options.peak.empty() || options.mfu != 0) {
    if (options.peak.empty() || options.mfu == 0) throw_bad_input("--mfu and --peak go together: give both");
    if (!(options.mfu > 0) || options.mfu > 1)
      throw_bad_input("--mfu {}: expected the share of the peak that is reached, above 0 and at most 1", options.mfu);
    rate.flops_per_second = options.mfu * amount("--peak", options.peak, 1, 1e21);
  } else {
    rate.flops_per_second = source.flops_per_second;
  }
  return rate;
}

std::vector<double> budgets_of(const PlanOptions& options, const Rate& rate) {
  std::vector<double> budgets;
  for (const std::string& text : options.flops) budgets.push_back(flops_of_budget(text));
  for (const std::string& text : options.seconds) {
    if (rate.flops_per_second <= 0)
      throw_bad_input("--seconds needs a rate: give --flops-per-second, or --mfu and --peak, and --gpus");
    const bool unit = !text.empty() && std::isalpha(static_cast<unsigned char>(text.back()));
    const double seconds = unit ? parse_budget(text).seconds : amount("--seconds", text, 1, 10 * 365.25 * 86400);
    budgets.push_back(seconds * rate.flops_per_second * rate.gpus);
    if (budgets.back() > kMostFlops) throw_bad_input("--seconds {} at this rate is above {:g} FLOPs", text, kMostFlops);
  }
  if (budgets.empty()) throw_bad_input("a plan needs a budget: --flops 1e21, or --seconds 30d with a rate");
  return budgets;
}

scaling::PlanRequest request_of(const PlanOptions& options, const PlanSource& source) {
  const Rate rate = rate_of(options, source);
  return {.budgets = budgets_of(options, rate),
          .flops_per_second = rate.flops_per_second,
          .devices = rate.gpus,
          .served_tokens = options.inference.empty() ? 0 : amount("--inference-tokens", options.inference, 1, 1e20),
          .form = options.form,
          .bootstrap = options.bootstrap,
          .threads = options.threads,
          .seed = options.seed};
}

}  // namespace

Action declare_plan(Arguments& arguments) {
  auto options = std::make_shared<PlanOptions>();
  arguments.option("--flops", options->flops, "Training budget in FLOPs, such as 1e21; may be given several times");
  arguments.option("--seconds", options->seconds, "Training budget as time (30d, 12h, or seconds) at the rate given");
  const Option csv =
      arguments.option("--csv", options->table.path,
                       "Table of finished runs (CSV, TSV, JSONL; - for standard input): N, D, L, optionally C, lr and "
                       "batch_size");
  arguments.option("--law", options->lab, "A lab's folder, instead of a table").excludes(csv);
  arguments.option("--columns", options->table.columns, kColumnsHelp).repeatable();
  arguments.option("--group", options->table.group, "COLUMN=VALUE: plan from the rows that have it");
  arguments.flag("--checkpoints", options->table.checkpoints,
                 "Count every checkpoint of a run, not only the last one of each");
  arguments.option("--inference-tokens", options->inference, "Tokens the model will read or write when served");
  arguments.option("--flops-per-second", options->rate, "Rate that one device reaches in training, such as 4e14");
  arguments.option("--gpus", options->gpus, "Devices").show_default();
  arguments.option("--mfu", options->mfu, "Share of the peak that is reached, with --peak");
  arguments.option("--peak", options->peak, "Peak FLOP/s of one device, such as 9.89e14");
  arguments.option(
      "--form", options->form,
      "Form of approach 3, by default the one that the runs favour; sizes and losses are the forecaster's");
  arguments.option("--drop-highest", options->table.drop_highest,
                   "Leave out this many of the highest losses of the table");
  arguments.option("--bootstrap", options->bootstrap, "Resamples for intervals").range(0, 10000).show_default();
  arguments.option("--seed", options->seed, "Seed of the resamples").show_default();
  arguments.option("--threads", options->threads, "Threads; the numbers do not depend on it").range(1, 256);
  arguments.flag("--json", options->json, "Print one JSON object");
  return [options] {
    if (options->table.path.empty() && options->lab.empty())
      throw_bad_input("a plan needs runs: --csv RUNS.csv, or --law LAB for a lab's folder");
    const PlanSource source =
        options->table.path.empty() ? plan_source_from_lab(options->lab) : plan_source_from_table(options->table);
    const scaling::PlanRequest request = request_of(*options, source);
    const scaling::PlanResult result = scaling::make_plans(source.runs, request);
    OrderedJson json = report::plan_json(source.runs, source.unit, request, result, recipe_sizes(source, result));
    for (const std::string& warning : source.runs.warnings) log_warning(warning);
    if (options->json) {
      fmt::print("{}\n", json_line(json));
    } else {
      // What stands on stderr is not said again.
      auto& warnings = json["warnings"];
      warnings.erase(warnings.begin(), warnings.begin() + static_cast<std::ptrdiff_t>(source.runs.warnings.size()));
      report::print_plan(json);
    }
    return 0;
  };
}

}  // namespace flywheel::cli
