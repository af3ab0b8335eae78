// flywheel status: where a lab stands. Reads the ledger beside a living lab and never writes.
#include <fmt/format.h>

#include <map>

#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/cost_text.h"
#include "report/report_json.h"
#include "report/report_text.h"

namespace flywheel::cli {
namespace {

// The kinds of records whose last one says what is known.
constexpr const char* kKnownKinds[] = {"fit", "forecast", "score", "wall", "report"};

struct Status {
  std::string stage;
  std::map<std::string, int> by_state;
  ledger::Spend spend;
  std::map<std::string, Json> known;
  size_t findings = 0;
  std::optional<std::string> process;
  std::string standing;
  Json machine;                              // as in report.json
  OrderedJson used = OrderedJson::object();  // the fields of report::add_utilisation
  std::string lines;                         // what is known, and what to do next
  int64_t records = 0;
};

Status read_status(const std::string& lab) {
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
  status.findings = ledger->all<ledger::FindingRecord>().size();
  status.records = ledger->size();
  status.process = lab_process(lab);
  status.standing = report::standing(*ledger);
  report::add_utilisation(report::utilisation(*ledger), status.used);
  const OrderedJson report = report::report_json(*ledger);
  status.machine = report["machine"];
  status.lines = report::known_lines(*ledger, report, lab);
  return status;
}

void print(const Status& status, const std::string& lab) {
  const std::string process =
      status.process ? fmt::format("process {} works on it", *status.process) : "no process works on it";
  fmt::print("{}\n", wrapped(fmt::format("lab {}: {}; {}", lab, status.standing, process), 80));
  std::string runs;
  for (const auto& [state, n] : status.by_state) runs += fmt::format("{}{} {}", runs.empty() ? "" : ", ", n, state);
  fmt::print("  stage       {}\n  runs        {}\n{}", status.stage.empty() ? "not started" : status.stage,
             runs.empty() ? "none" : runs, status.lines);
}

Json to_json(const Status& status, const std::string& lab) {
  const auto counted = [&](double flops) {
    const auto known = report::counted(flops, status.spend.train_flops);
    return known ? Json(*known) : Json();
  };
  return {{"lab", lab},
          {"process", status.process ? Json(*status.process) : Json()},
          {"stage", status.stage},
          {"runs", status.by_state},
          {"spend",
           {{"slot_seconds", status.spend.slot_seconds},
            {"train_flops", status.spend.train_flops},
            {"optimizer_flops", counted(status.spend.optimizer_flops)},
            {"evaluation_flops", counted(status.spend.evaluation_flops)},
            {"runs_done", status.spend.runs_done},
            {"runs_failed", status.spend.runs_failed}}},
          {"utilisation", status.used["utilisation"]},
          {"slot_seconds_by", status.used["slot_seconds_by"]},
          {"machine", status.machine},
          {"known", status.known},
          {"findings", status.findings},
          {"standing", status.standing},
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
