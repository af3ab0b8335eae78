// flywheel status: where a lab stands. Reads the ledger beside a living lab and never writes.
#include <fmt/format.h>

#include <map>

#include "base/format.h"
#include "cli/cli.h"
#include "cli/lab_view.h"

namespace flywheel::cli {
namespace {

// The last record of each kind that says what is known; the campaign defines their payloads.
constexpr const char* kKnownKinds[] = {"noise", "fit", "forecast", "score", "wall", "report"};

struct Status {
  std::string stage;
  std::map<std::string, int> by_state;
  ledger::Spend spend;
  std::map<std::string, Json> known;
  std::optional<std::string> process;
  int64_t records = 0;
};

Status read_status(const Path& lab) {
  Status status;
  const auto ledger = ledger::Ledger::open_read_only(lab);
  int64_t latest = -1;
  for (const ledger::RunRow& row : ledger->runs()) {
    ++status.by_state[row.state];
    const int64_t touched = std::max({row.record, row.start_record, row.finish_record});
    if (touched > latest) {
      latest = touched;
      status.stage = row.stage;
    }
  }
  status.spend = ledger->spend();
  for (const char* kind : kKnownKinds)
    if (auto record = ledger->last(kind)) status.known[kind] = record->payload;
  status.records = ledger->size();
  status.process = lab_process(lab);
  return status;
}

// A payload in one line: its numbers and words, a list as its length.
std::string summary(const Json& payload) {
  std::string line;
  for (const auto& [field, value] : payload.items()) {
    std::string text;
    if (value.is_number()) text = fmt::format("{:.5g}", value.get<double>());
    if (value.is_string() && value.get<std::string>().size() <= 60) text = value.get<std::string>();
    if (value.is_boolean()) text = value.get<bool>() ? "yes" : "no";
    if (!text.empty()) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", field, text);
  }
  return line;
}

void print_known(const std::string& kind, const Json& payload) {
  if (kind == "forecast" && payload.contains("forecast") && payload.at("forecast").is_array()) {
    for (const Json& f : payload.at("forecast"))
      fmt::print("  forecast   {}x: {} bits per byte ({} to {})\n", payload_number(f, "multiply", "{:g}"),
                 payload_number(f, "bits_per_byte"), payload_number(f, "low"), payload_number(f, "high"));
    return;
  }
  if (kind == "fit" && payload.contains("parameters") && payload.at("parameters").is_object()) {
    fmt::print("  law        {}\n", summary(payload.at("parameters")));
    return;
  }
  if (const std::string line = summary(payload); !line.empty()) fmt::print("  {:<10} {}\n", kind, line);
}

void print(const Status& status, const std::string& lab) {
  const std::string process =
      status.process ? fmt::format("process {} works on it", *status.process) : "no process works on it";
  fmt::print("lab {}: {}\n", lab, process);
  std::string runs;
  for (const auto& [state, n] : status.by_state) runs += fmt::format("{}{} {}", runs.empty() ? "" : ", ", n, state);
  fmt::print("  stage      {}\n  runs       {}\n", status.stage.empty() ? "not started" : status.stage,
             runs.empty() ? "none" : runs);
  fmt::print("  spend      {} of slots, {}\n", format_seconds(status.spend.slot_seconds),
             format_flops(status.spend.train_flops));
  for (const auto& [kind, payload] : status.known) print_known(kind, payload);
}

Json to_json(const Status& status, const std::string& lab) {
  return {{"lab", lab},
          {"process", status.process ? Json(*status.process) : Json()},
          {"stage", status.stage},
          {"runs", status.by_state},
          {"spend",
           {{"slot_seconds", status.spend.slot_seconds},
            {"train_flops", status.spend.train_flops},
            {"runs_done", status.spend.runs_done},
            {"runs_failed", status.spend.runs_failed}}},
          {"known", status.known},
          {"records", status.records}};
}

}  // namespace

Action declare_status(CLI::App& app) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("--dir", options->lab, "The lab's folder")->required();
  app.add_flag("--json", options->json, "One JSON object");
  return [options] {
    const Status status = read_status(options->lab);
    if (options->json) {
      fmt::print("{}\n", canonical_json(to_json(status, options->lab)));
    } else {
      print(status, options->lab);
    }
    return 0;
  };
}

}  // namespace flywheel::cli
