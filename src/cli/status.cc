// flywheel status: where a lab stands. Reads the ledger beside a living lab and never writes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/cost_text.h"
#include "report/report_json.h"
#include "report/report_text.h"
#include "report/text_rows.h"

namespace flywheel::cli {
namespace {

// The kinds of records whose last one says what is known.
constexpr const char* kKnownKinds[] = {"fit", "forecast", "score", "wall", "report"};

// What a run of this stage is for.
struct StageWords {
  protocol::Stage stage;
  const char* words;
};
constexpr StageWords kStageWords[] = {
    {protocol::Stage::kCalibrate, "timing this machine"},
    {protocol::Stage::kTune, "finding the learning rate on the smallest models"},
    {protocol::Stage::kTransfer, "trying the learning rate on larger models"},
    {protocol::Stage::kBase, "training the recipe that changes are compared with"},
    {protocol::Stage::kScreen, "first looks at changes to the recipe"},
    {protocol::Stage::kConfirm, "confirming a change with fresh seeds"},
    {protocol::Stage::kAblate, "leaving out each change adopted, to see whether it is needed"},
    {protocol::Stage::kEndure, "many short runs of the recipe found, to see whether some are ruined"},
    {protocol::Stage::kGain, "measuring what all changes together are worth"},
    {protocol::Stage::kLadder, "climbing the ladder of larger models"},
    {protocol::Stage::kNoise, "repeating runs, to measure the noise floor"},
    {protocol::Stage::kTop, "training the largest models, which were forecast before"},
    {protocol::Stage::kReplicate, "more seeds, in time that is left"},
    {protocol::Stage::kCompare, "pairs of runs, with and without the change"}};

std::string stage_words(const protocol::StageName& stage) {
  for (const StageWords& row : kStageWords)
    if (stage == row.stage) return row.words;
  return stage.text();
}

struct Status {
  double elapsed_seconds = 0;
  std::string budget;  // as the user gave it; empty: not known
  bool finished = false;
  std::vector<ledger::RunRow> running;
  std::optional<ledger::RunRow> best;  // by bits per byte on the search split
  std::string stage_text;              // the stage in words
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

// That the lab has worked, over all its starts: it saves them every second.
double elapsed_seconds(const Path& lab) {
  std::ifstream file(lab / "elapsed");
  double seconds = 0;
  return file >> seconds && std::isfinite(seconds) && seconds >= 0 ? seconds : 0;
}

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
      status.stage_text = stage_words(row.stage);
    }
    if (row.state == protocol::RunState::kRunning) status.running.push_back(row);
    if (row.bits_per_byte && row.ended() && (!status.best || *row.bits_per_byte < *status.best->bits_per_byte))
      status.best = row;
  }
  status.elapsed_seconds = elapsed_seconds(lab);
  if (const auto record = ledger->last<ledger::LabRecord>()) status.budget = record->value.question.budget;
  status.finished = ledger->last<ledger::ReportRecord>() || ledger->last<ledger::ComparisonRecord>();
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
  status.lines = report::known_lines(*ledger, report, lab, status.process && !status.finished);
  return status;
}

// What is spent of the budget and what is left; empty where the lab does not say.
std::string budget_text(const Status& status) {
  if (status.finished || status.budget.empty()) return "";
  const Budget budget = parse_budget(status.budget);
  if (budget.seconds > 0)
    return fmt::format("{} of {}; {} left", format_seconds(status.elapsed_seconds), format_seconds(budget.seconds),
                       format_seconds(std::max(0.0, budget.seconds - status.elapsed_seconds)));
  return fmt::format("{} of {} in {}; {} left", format_flops(status.spend.flops()), format_flops(budget.flops),
                     format_seconds(status.elapsed_seconds),
                     format_flops(std::max(0.0, budget.flops - status.spend.flops())));
}

std::string now_text(const Status& status) {
  if (!status.process || status.finished) return "";
  if (status.running.empty())
    return status.stage.empty() ? "reading the corpus" : "between runs: deciding what is next";
  std::map<std::string, int> by_stage;
  for (const ledger::RunRow& row : status.running) ++by_stage[stage_words(row.stage)];
  std::string text;
  for (const auto& [words, runs] : by_stage)
    text += fmt::format("{}{} ({} run{})", text.empty() ? "" : "; ", words, runs, runs == 1 ? "" : "s");
  return text;
}

void print(const Status& status, const std::string& lab) {
  const std::string process = status.process ? fmt::format("process {} works on it", *status.process)
                              : status.finished
                                  ? "no process works on it"
                                  : "no process works on it, so nothing goes on until it is started again";
  fmt::print("{}\n", wrapped(fmt::format("lab {}: {}; {}", lab, status.standing, process), 80));
  std::string runs;
  for (const auto& [state, n] : status.by_state) runs += fmt::format("{}{} {}", runs.empty() ? "" : ", ", n, state);
  std::string rows;
  if (const std::string budget = budget_text(status); !budget.empty()) rows += report::row("budget", budget);
  if (const std::string now = now_text(status); !now.empty()) rows += report::row("now", now);
  if (!status.finished)
    rows += report::row("stage", status.stage.empty()                        ? "not started"
                                 : status.process && !status.running.empty() ? status.stage
                                                                             : status.stage + ": " + status.stage_text);
  rows += report::row("runs", runs.empty() ? "none" : runs);
  if (status.best && !status.finished)
    rows += report::row("best so far",
                        fmt::format("{:.4f} bits per byte on the search split, run {}, {}", *status.best->bits_per_byte,
                                    status.best->run, format_flops(status.best->flops)));
  if (!status.finished && status.findings == 0) rows += report::row("findings", "none so far");
  fmt::print("{}{}", rows, status.lines);
}

Json to_json(const Status& status, const std::string& lab) {
  const auto counted = [&](double flops) {
    const auto known = report::counted(flops, status.spend.train_flops);
    return known ? Json(*known) : Json();
  };
  return {{"lab", lab},
          {"process", status.process ? Json(*status.process) : Json()},
          {"stage", status.stage},
          {"elapsed_seconds", status.elapsed_seconds},
          {"budget", status.budget.empty() ? Json() : Json(status.budget)},
          {"now", status.process && !status.finished ? Json(now_text(status)) : Json()},
          {"best", status.best ? Json{{"run", status.best->run},
                                      {"bits_per_byte", *status.best->bits_per_byte},
                                      {"flops", status.best->flops}}
                               : Json()},
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
  lab_argument(arguments, options->lab);
  arguments.flag("--json", options->json, "One JSON object");
  return [options] {
    options->lab = lab_or_default(options->lab);
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
