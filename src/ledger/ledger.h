// The ledger: the record of everything the lab did, decided and spent. SQLite, one owner, hash-chained.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/json.h"

namespace flywheel::ledger {

inline constexpr int kSchemaVersion = 1;

// Record kinds and payloads (canonical JSON objects):
//  lab        {"schema","program","created","seed","budget":{..},"options":{..}}          first record, once
//  corpus     the manifest
//  machine    {"cpu","threads","peak_gflops_fp32","peak_gflops_bf16"}
//  recipe     {"hash","recipe"}
//  plan       {"stage", ...}            a decision of the campaign that a restart must take over as it was
//  run {"run","stage","rung_flops","recipe_hash","seed","data_seed","parameters","tokens","flops","reserved_seconds",
//             *"branch",*"new_flops"}
//             planned and reserved, before it starts; parameters: the law's N (recipe/size.h, matrix_parameters);
//             branch: the run whose stable phase it goes on from, new_flops: what is trained beyond that
//  start      {"run","attempt","events_before","slots":[..]}   before its process starts, which the runner finds again;
//             events_before: events in events.jsonl that belong to earlier attempts
//  finish     {"run","state":"done|failed|stopped","reason","bits_per_byte","loss","tokens","flops","seconds",
//              "attempt_flops","cpu_seconds","peak_memory_bytes","predicted_memory_bytes","curve":[..]}
//             once per run that ended for good; tokens and flops are what the model was trained with, seconds and
//             attempt_flops (default: flops) what the last attempt spent
//  attempt    {"run","attempt","state":"failed|stopped|lost","reason","seconds","flops","curve"}   an attempt that may
//             be repeated, and what it spent (work that is done again is spent twice, in one attempt each)
//  evaluation {"run","split","tokens","loss","bits_per_byte"}
//  fit forecast score wall finding proposal search gain comparison note report : payload of research/
//  spend      {"what","seconds"}        slot seconds that are no run's (evaluation of the end, machine measurement)
struct Record {
  int64_t sequence = 0;  // 1, 2, 3, ... without gaps
  std::string time;      // UTC
  std::string kind;
  Json payload;
  std::string hash;  // SHA-256 of previous hash, sequence, time, kind and canonical payload
};

// What the ledger knows of one run, folded from its records.
struct RunRow {
  std::string run, stage, recipe_hash, state;  // planned, running, done, failed, stopped
  double rung_flops = 0, parameters = 0, tokens = 0, flops = 0, reserved_seconds = 0;
  uint64_t seed = 0, data_seed = 0;
  int attempts = 0;         // started
  int failed_attempts = 0;  // of these, ended as failed and were to be repeated
  std::string reason;       // of the last attempt that did not end as done
  std::optional<double> bits_per_byte, loss;
  double seconds = 0, cpu_seconds = 0;  // of all attempts; slot seconds
  double flops_done = 0, tokens_done = 0;
  double spent_flops = 0;  // of all attempts; more than flops_done where work was lost
  uint64_t peak_memory_bytes = 0, predicted_memory_bytes = 0;
  int64_t record = 0;         // sequence of the run record
  int64_t start_record = 0;   // of the last start record; 0: never started
  int64_t finish_record = 0;  // 0: has not ended for good
  bool ended() const { return finish_record != 0; }
  // Stopped by the rule of its spec (run_spec.h, stop_above): it goes on only when somebody asks for it.
  bool gave_up() const;
};

// What became of a record that was offered.
enum class Recording { kRecorded, kAlreadyPlanned, kAlreadyFinished, kUnknownRun };

struct Spend {
  double slot_seconds = 0, train_flops = 0;
  int64_t runs_done = 0, runs_failed = 0;
};

// One writer. Not thread safe. Every append is one transaction, on disk (fsync) when it returns.
class Ledger {
 public:
  // Opens or creates DIR/ledger.sqlite. Throws kBadInput for a file that is no ledger or of a newer version, kFailed
  // for a read-only or full disk.
  static std::unique_ptr<Ledger> open(const Path& lab_directory);
  // For status, runs, report, verify: works beside a living owner and never writes.
  static std::unique_ptr<Ledger> open_read_only(const Path& lab_directory);
  ~Ledger();

  // Throws kBadInput naming the field for a payload that lacks one, kFailed (and records nothing) for a second finish
  // or run record of the same run, or one of a run that is not there.
  Record append(std::string_view kind, const Json& payload);
  // All of them in one transaction, or none.
  void append_all(const std::vector<std::pair<std::string, Json>>& records);
  // As append("finish", ..), where a run that has already finished, or is not known, is an expected outcome: it is
  // told, and nothing is recorded or charged.
  Recording finish_run(const Json& payload);
  // Called before and after each commit; what it throws passes through. A crash-point test stops the lab there.
  void on_commit(std::function<void(bool committed)> hook);

  std::vector<Record> records(std::string_view kind) const;  // in order; empty kind: all
  std::optional<Record> last(std::string_view kind) const;
  std::vector<RunRow> runs() const;  // in order of their run records
  std::optional<RunRow> run(std::string_view id) const;
  std::optional<Record> record(int64_t sequence) const;
  // Of its finish record, or of the attempt that gave up; empty array: none.
  Json run_curve(std::string_view id) const;
  Spend spend() const;
  int64_t size() const;

  struct Verification {
    int64_t records = 0;
    std::vector<std::string> problems;  // empty: the chain holds, and the folded tables agree with the records
    std::string head_hash;
  };
  // Walks the chain, folds the runs again and compares. What it can and cannot prove: docs/ledger.md.
  Verification verify() const;

 private:
  struct State;
  explicit Ledger(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::ledger
