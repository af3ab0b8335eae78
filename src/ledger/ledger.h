// The ledger: the record of everything the lab did, decided and spent. SQLite, one owner, hash-chained.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/json_fwd.h"
#include "ledger/records/records.h"

namespace flywheel::ledger {

inline constexpr int kSchemaVersion = 1;

struct Record;  // ledger/json_record.h

// A record as it is stored.
struct RawRecord {
  int64_t sequence = 0;  // 1, 2, 3, ... without gaps
  std::string time;      // UTC
  std::string kind;
  std::string payload;  // canonical JSON; the structs of ledger/records say what is in it
  std::string hash;     // SHA-256 of previous hash, sequence, time, kind and payload
};

// What the ledger knows of one run, folded from its records.
struct RunRow {
  std::string run;
  protocol::StageName stage;
  std::string recipe_hash;
  std::string segments;  // hash of the list of segments that it is scored on; empty in labs of older versions
  protocol::RunState state = protocol::RunState::kPlanned;
  double rung_flops = 0, parameters = 0, tokens = 0, flops = 0, reserved_seconds = 0;
  uint64_t seed = 0, data_seed = 0;
  int attempts = 0;         // started
  int failed_attempts = 0;  // of these, ended as failed and were to be repeated
  std::string reason;       // of the last attempt that did not end as done
  std::optional<double> bits_per_byte, loss;
  double seconds = 0, cpu_seconds = 0;  // of all attempts; slot seconds
  double flops_done = 0, tokens_done = 0;
  double spent_flops = 0;  // of all attempts; more than flops_done where work was lost
  // Beside them: the optimizer's own work and the run's evaluations; 0 where they were not counted.
  double spent_optimizer_flops = 0, spent_evaluation_flops = 0;
  double all_spent_flops() const { return spent_flops + spent_optimizer_flops + spent_evaluation_flops; }
  uint64_t peak_memory_bytes = 0, predicted_memory_bytes = 0;
  int64_t record = 0;         // sequence of the run record
  int64_t start_record = 0;   // of the last start record; 0: never started
  int64_t finish_record = 0;  // 0: has not ended for good
  bool ended() const { return finish_record != 0; }
  // Stopped by its spec's rule (stop_above); it is resumed only on request.
  bool gave_up() const;
};

// A record to be appended: any struct of the table in ledger/records/records.h.
struct NewRecord {
  std::string_view kind;
  std::string payload;
  template <RecordStruct R>
  NewRecord(const R& record)  // NOLINT(google-explicit-constructor): a list of records is written as one
      : kind(kKindOf<R>.kind), payload(Codec<R>::encode(record)) {}
};

// The result of offering a record.
enum class Recording { kRecorded, kAlreadyPlanned, kAlreadyFinished, kUnknownRun };

struct Spend {
  double slot_seconds = 0, train_flops = 0, optimizer_flops = 0, evaluation_flops = 0;
  int64_t runs_done = 0, runs_failed = 0;
  double flops() const { return train_flops + optimizer_flops + evaluation_flops; }  // that a budget is charged
};

// Keeps a listener of on_append subscribed as long as it lives.
using Subscription = std::shared_ptr<const void>;

// One writer. Not thread safe. Every append is one transaction, on disk (fsync) when it returns. The rows of runs, the
// decisions and the spend are kept in memory, built once when the ledger is opened: asking for them reads no file.
class Ledger {
 public:
  // Opens or creates DIR/ledger.sqlite. Throws kBadInput for a file that is no ledger or of a newer version, kFailed
  // for a read-only or full disk.
  static std::unique_ptr<Ledger> open(const Path& lab_directory);
  // Read-only, for status, runs, report and verify: works while another process owns the ledger. Shows its content at
  // the time of opening, until refresh().
  static std::unique_ptr<Ledger> open_read_only(const Path& lab_directory);
  ~Ledger();
  // Takes in what the owner has appended since; true when there was something.
  bool refresh();

  // ---- writing ------------------------------------------------------------------------------------------------------
  // The sequence of the record. Throws kFailed (and records nothing) for a second finish or run record of the same run,
  // or one of a run that is not there.
  template <RecordStruct R>
  int64_t append(const R& record) {
    return append_raw({record});
  }
  // All of them in one transaction, or none.
  void append_all(const std::vector<NewRecord>& records);
  // As append(), for callers that expect runs that have finished or are unknown: the outcome is returned, and nothing
  // is recorded or charged.
  Recording finish_run(const RunFinished& record);
  // Asked when the disk, or another process, does not let a record be written, with the reason: true, after a while,
  // tries again; false lets the error through. Not set: it is let through.
  void when_stuck(std::function<bool(const std::string& reason)> wait);
  // Calls `listener` after each commit for each record of it, in order, as long as the subscription is held. It must
  // not append.
  [[nodiscard]] Subscription on_append(std::function<void(const RawRecord&)> listener);
  // Called before and after each commit; what it throws passes through. A crash-point test stops the lab there.
  void on_commit(std::function<void(bool committed)> hook);

  // ---- what the records add up to -----------------------------------------------------------------------------------
  // In order of their run records. Valid until the next append or refresh.
  const std::vector<RunRow>& runs() const;
  std::optional<RunRow> run(std::string_view id) const;
  // Of its finish record, or of the attempt that gave up; empty: none.
  std::vector<RunCurvePoint> run_curve(std::string_view id) const;
  // The attempts of a run that ended without finishing it, in order.
  std::vector<Stored<AttemptEnded>> attempts(std::string_view id) const;
  Spend spend() const;
  int64_t size() const;
  // The recorded decision, the one of this number where there are several.
  template <DecisionStruct D>
  std::optional<D> decision(int number = 0) const {
    const std::string* payload = decision_payload(decision_stage<D>(number));
    if (payload == nullptr) return std::nullopt;
    return Codec<D>::decode(*payload, "ledger");
  }

  // ---- records ------------------------------------------------------------------------------------------------------
  // In order. Throw kBadInput that names the record and the field for a payload that is not one of R.
  template <RecordStruct R>
  std::vector<Stored<R>> all() const {
    std::vector<Stored<R>> records;
    for (const RawRecord& raw : raw_records(kKindOf<R>)) records.push_back(stored<R>(raw));
    return records;
  }
  template <RecordStruct R>
  std::optional<Stored<R>> last() const {
    const std::optional<RawRecord> raw = last_raw(kKindOf<R>);
    if (!raw) return std::nullopt;
    return stored<R>(*raw);
  }
  // REQUIRES that the record of this sequence is one of R.
  template <RecordStruct R>
  std::optional<Stored<R>> at(int64_t sequence) const {
    const std::optional<RawRecord> raw = raw_record(sequence);
    if (!raw) return std::nullopt;
    return stored<R>(*raw);
  }
  // As stored; kind.kind empty: all.
  std::vector<RawRecord> raw_records(const RecordKind& kind) const;
  std::optional<RawRecord> last_raw(const RecordKind& kind) const;
  std::optional<RawRecord> raw_record(int64_t sequence) const;

  // ---- records of any kind, as JSON (ledger/json_record.h) ---------------------------------------------------------
  Record append(std::string_view kind, const Json& payload);
  void append_all(const std::vector<std::pair<std::string, Json>>& records);
  Recording finish_run(const Json& payload);
  std::vector<Record> records(std::string_view kind) const;  // in order; empty kind: all
  std::optional<Record> last(std::string_view kind) const;
  std::optional<Record> record(int64_t sequence) const;

  // ---- verification -------------------------------------------------------------------------------------------------
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
  int64_t append_raw(const std::vector<NewRecord>& records);
  const std::string* decision_payload(const std::string& stage) const;
  template <typename R>
  static Stored<R> stored(const RawRecord& raw) {
    return {raw.sequence, raw.time, Codec<R>::decode(raw.payload, fmt::format("ledger: record {}", raw.sequence))};
  }
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::ledger
