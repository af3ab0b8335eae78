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
//  run        {"run","stage","rung_flops","recipe_hash","seed","data_seed","parameters","tokens","flops","reserved_seconds"}
//             planned and reserved, before it starts
//  start      {"run","attempt","process":{..}}
//  finish     {"run","state":"done|failed|stopped","reason","bits_per_byte","loss","tokens","flops","seconds","cpu_seconds",
//              "peak_memory_bytes","predicted_memory_bytes","curve":[..]}      once per run that ended for good; charges spend
//  attempt    {"run","attempt","state":"failed|stopped|lost","reason","seconds","flops"}   an attempt that will be repeated
//  evaluation {"run","split","tokens","loss","bits_per_byte"}
//  fit forecast score wall finding note report : payload of research/
//  spend      {"what","seconds"}        slot seconds that are no run's (evaluation of the end, machine measurement)
struct Record {
  int64_t sequence = 0;  // 1, 2, 3, ... without gaps
  std::string time;      // UTC
  std::string kind;
  Json payload;
  std::string hash;      // SHA-256 of previous hash, sequence, time, kind and canonical payload
};

// What the ledger knows of one run, folded from its records.
struct RunRow {
  std::string run, stage, recipe_hash, state;  // planned, running, done, failed, stopped
  double rung_flops = 0, parameters = 0, tokens = 0, flops = 0, reserved_seconds = 0;
  uint64_t seed = 0, data_seed = 0;
  int attempts = 0;
  std::string reason;
  std::optional<double> bits_per_byte, loss;
  double seconds = 0, cpu_seconds = 0;
  double flops_done = 0, tokens_done = 0;
  uint64_t peak_memory_bytes = 0, predicted_memory_bytes = 0;
  int64_t record = 0;  // sequence of the run record
};

struct Spend {
  double slot_seconds = 0, train_flops = 0;
  int64_t runs_done = 0, runs_failed = 0;
};

// One writer. Not thread safe. Every append is one transaction, on disk (fsync) when it returns.
class Ledger {
 public:
  // Opens or creates DIR/ledger.sqlite. Throws kBadInput for a file that is no ledger or of a newer version, kFailed for
  // a read-only or full disk.
  static std::unique_ptr<Ledger> open(const Path& lab_directory);
  // For status, runs, report, verify: works beside a living owner and never writes.
  static std::unique_ptr<Ledger> open_read_only(const Path& lab_directory);
  ~Ledger();

  Record append(std::string_view kind, const Json& payload);
  // All of them in one transaction.
  void append_all(const std::vector<std::pair<std::string, Json>>& records);

  std::vector<Record> records(std::string_view kind) const;  // in order; empty kind: all
  std::optional<Record> last(std::string_view kind) const;
  std::vector<RunRow> runs() const;  // in order of their run records
  std::optional<RunRow> run(std::string_view id) const;
  Json run_curve(std::string_view id) const;
  Spend spend() const;
  int64_t size() const;

  struct Verification {
    int64_t records = 0;
    std::vector<std::string> problems;  // empty: the chain holds, and the folded tables agree with the records
    std::string head_hash;
  };
  Verification verify() const;

 private:
  struct State;
  explicit Ledger(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::ledger
