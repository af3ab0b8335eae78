// flywheel status: where a lab stands. Reads the ledger beside a living lab and never writes.
#include <fmt/format.h>

#include <map>

#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/cost_text.h"

namespace flywheel::cli {
namespace {

// The kinds of records whose last one says what is known.
constexpr const char* kKnownKinds[] = {"fit", "forecast", "score", "wall", "report"};

struct Status {
  std::string stage;
  std::map<std::string, int> by_state;
  ledger::Spend spend;
  std::map<std::string, Json> known;
  std::optional<ledger::FutureForecast> future;
  std::optional<std::string> process;
  int64_t records = 0;
};

Status read_status(const Path& lab) {
  Status status;
  const auto ledger = ledger::Ledger::open_read_only(lab);
  int64_t latest = -1;
  for (const ledger::RunRow& row : ledger->runs()) {
    ++status.by_state[std::string(protocol::name(row.state))];
    const int64_t touched = std::max({row.record, row.start_record, row.finish_record});
    if (touched > latest) {
      latest = touched;
      status.stage = row.stage.text();
    }
  }
  status.spend = ledger->spend();
  for (const char* kind : kKnownKinds)
    if (const auto record = ledger->last_raw({kind})) status.known[kind] = parse_json(record->payload, "ledger");
  if (const auto forecast = ledger->last<ledger::FutureForecast>()) status.future = forecast->value;
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

void print_future(const ledger::FutureForecast& future) {
  for (const auto& f : future.forecast)
    fmt::print("  forecast   {}x: {} bits per byte ({} to {})\n", number_text(f.multiply, "{:g}"),
               number_text(f.bits_per_byte), number_text(f.low), number_text(f.high));
}

void print_known(const std::string& kind, const Json& payload) {
  const bool law = kind == "fit" && payload.contains("parameters");
  const std::string line = summary(law ? payload.at("parameters") : payload);
  if (!line.empty()) fmt::print("  {:<10} {}\n", law ? "law" : kind, line);
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
             report::spend_text(status.spend));
  for (const auto& [kind, payload] : status.known)
    if (kind == "forecast" && status.future)
      print_future(*status.future);
    else
      print_known(kind, payload);
}

Json to_json(const Status& status, const std::string& lab) {
  return {{"lab", lab},
          {"process", status.process ? Json(*status.process) : Json()},
          {"stage", status.stage},
          {"runs", status.by_state},
          {"spend",
           {{"slot_seconds", status.spend.slot_seconds},
            {"train_flops", status.spend.train_flops},
            {"optimizer_flops", status.spend.optimizer_flops},
            {"runs_done", status.spend.runs_done},
            {"runs_failed", status.spend.runs_failed}}},
          {"known", status.known},
          {"records", status.records}};
}

}  // namespace

Action declare_status(Arguments& arguments) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  arguments.option("--dir", options->lab, "The lab's folder").required();
  arguments.flag("--json", options->json, "One JSON object");
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
