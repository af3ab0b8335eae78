// flywheel runs: the table of a lab's runs.
#include <fmt/format.h>

#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/cost_text.h"

namespace flywheel::cli {
namespace {

std::vector<std::string> state_names() {
  std::vector<std::string> names;
  for (const auto& row : protocol::kRunStateNames) names.emplace_back(row.name);
  return names;
}

struct RunsOptions {
  std::string lab, stage, state;
  bool json = false;
};

Json to_json(const ledger::Ledger& ledger, const ledger::RunRow& row) {
  auto optional = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  const auto planned = ledger.at<ledger::RunPlanned>(row.record);
  const ledger::RunPlanned plan = planned ? planned->value : ledger::RunPlanned{};
  return {{"run", row.run},
          {"stage", row.stage.text()},
          {"state", protocol::name(row.state)},
          {"rung_flops", row.rung_flops},
          {"parameters", row.parameters},  // matrix parameters, the N of laws
          {"total_parameters", plan.total_parameters},
          {"artifact_bytes", optional(plan.artifact_bytes)},
          {"lookup_bytes", optional(plan.lookup_bytes)},
          {"optimizer_flops", optional(plan.optimizer_flops)},
          {"tokens", row.tokens},
          {"flops", row.flops},
          {"seed", row.seed},
          {"data_seed", row.data_seed},
          {"recipe_hash", row.recipe_hash},
          {"segments", row.segments},
          {"attempts", row.attempts},
          {"reason", row.reason},
          {"bits_per_byte", optional(row.bits_per_byte)},
          {"loss", optional(row.loss)},
          {"seconds", row.seconds},
          {"cpu_seconds", row.cpu_seconds},
          {"flops_done", row.flops_done},
          {"spent_flops", row.spent_flops},
          {"spent_optimizer_flops", optional(report::counted(row.spent_optimizer_flops, row.spent_flops))},
          {"spent_evaluation_flops", optional(report::counted(row.spent_evaluation_flops, row.spent_flops))},
          {"peak_memory_bytes", row.peak_memory_bytes},
          {"predicted_memory_bytes", row.predicted_memory_bytes}};
}

void print(const ledger::Ledger& ledger, const std::vector<ledger::RunRow>& rows) {
  size_t id_width = 3;
  for (const auto& row : rows) id_width = std::max(id_width, row.run.size());
  // Eighty columns hold all but long reasons. N: parameters in matrices.
  fmt::print("{:<{}}  {:<9} {:<7} {:>7} {:>6} {:>6} {:>6} {:>6} {:>7}  {}\n", "run", id_width, "stage", "state",
             "FLOPs", "N", "params", "tokens", "bits/B", "seconds", "reason");
  for (const auto& row : rows) {
    const auto planned = ledger.at<ledger::RunPlanned>(row.record);
    fmt::print("{:<{}}  {:<9} {:<7} {:>7} {:>6} {:>6} {:>6} {:>6} {:>7.1f}  {}\n", row.run, id_width, row.stage.text(),
               protocol::name(row.state), format_power(row.flops), format_count(row.parameters),
               planned ? format_count(planned->value.total_parameters) : "-", format_count(row.tokens),
               row.bits_per_byte ? fmt::format("{:.4f}", *row.bits_per_byte) : "-", row.seconds, row.reason);
  }
}

}  // namespace

Action declare_runs(Arguments& arguments) {
  auto options = std::make_shared<RunsOptions>();
  lab_argument(arguments, options->lab);
  arguments.option("--stage", options->stage, "Only runs of this stage");
  arguments.option("--state", options->state, "Only runs in this state").one_of(state_names());
  arguments.flag("--json", options->json, "One JSON object");
  return [options] {
    options->lab = lab_or_default(options->lab);
    const auto ledger = ledger::Ledger::open_read_only(options->lab);
    std::vector<ledger::RunRow> rows = ledger->runs();
    std::erase_if(rows, [&](const ledger::RunRow& row) {
      return (!options->stage.empty() && row.stage != std::string_view(options->stage)) ||
             (!options->state.empty() && row.state != std::string_view(options->state));
    });
    if (options->json) {
      Json list = Json::array();
      for (const auto& row : rows) list.push_back(to_json(*ledger, row));
      fmt::print("{}\n", canonical_json({{"runs", list}}));
    } else {
      print(*ledger, rows);
    }
    return 0;
  };
}

}  // namespace flywheel::cli
