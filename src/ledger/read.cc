// Reading the ledger: records, runs and spend.
#include "base/error.h"
#include "ledger/state.h"

namespace flywheel::ledger {
namespace {

constexpr const char* kRowColumns =
    "run, stage, recipe_hash, state, rung_flops, parameters, tokens, flops, reserved_seconds, seed, data_seed, "
    "attempts, "
    "failed_attempts, reason, bits_per_byte, loss, seconds, cpu_seconds, flops_done, tokens_done, spent_flops, "
    "peak_memory_bytes, predicted_memory_bytes, record, start_record, finish_record";

std::optional<double> optional_real(Statement& row) {
  if (row.null()) {
    row.skip();
    return std::nullopt;
  }
  return row.real();
}

void bind_optional(Statement& statement, const std::optional<double>& value) {
  value ? statement.bind(*value) : statement.bind_null();
}

// SQLite's integers are signed: unsigned numbers keep their bits.
uint64_t bits(int64_t value) {
  return static_cast<uint64_t>(value);
}
int64_t bits(uint64_t value) {
  return static_cast<int64_t>(value);
}

RunRow read_row(Statement& s) {
  RunRow row;
  row.run = s.text();
  row.stage = s.text();
  row.recipe_hash = s.text();
  row.state = s.text();
  row.rung_flops = s.real();
  row.parameters = s.real();
  row.tokens = s.real();
  row.flops = s.real();
  row.reserved_seconds = s.real();
  row.seed = bits(s.integer());
  row.data_seed = bits(s.integer());
  row.attempts = static_cast<int>(s.integer());
  row.failed_attempts = static_cast<int>(s.integer());
  row.reason = s.text();
  row.bits_per_byte = optional_real(s);
  row.loss = optional_real(s);
  row.seconds = s.real();
  row.cpu_seconds = s.real();
  row.flops_done = s.real();
  row.tokens_done = s.real();
  row.spent_flops = s.real();
  row.peak_memory_bytes = bits(s.integer());
  row.predicted_memory_bytes = bits(s.integer());
  row.record = s.integer();
  row.start_record = s.integer();
  row.finish_record = s.integer();
  return row;
}

constexpr const char* kRecordColumns = "sequence, time, kind, payload, hash";

Record read_record(Statement& s, const Path& file) {
  Record record;
  record.sequence = s.integer();
  record.time = s.text();
  record.kind = s.text();
  record.payload = parse_json(s.text(), fmt::format("{}, record {}", file.string(), record.sequence));
  record.hash = s.text();
  return record;
}

}  // namespace

void Ledger::State::write_row(const RunRow& row) {
  static const std::string kSql = fmt::format(
      "INSERT OR REPLACE INTO runs({}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", kRowColumns);
  Statement& s = prepared(kSql.c_str());
  s.bind(row.run).bind(row.stage).bind(row.recipe_hash).bind(row.state);
  s.bind(row.rung_flops).bind(row.parameters).bind(row.tokens).bind(row.flops).bind(row.reserved_seconds);
  s.bind(bits(row.seed)).bind(bits(row.data_seed));
  s.bind(int64_t{row.attempts}).bind(int64_t{row.failed_attempts}).bind(row.reason);
  bind_optional(s, row.bits_per_byte);
  bind_optional(s, row.loss);
  s.bind(row.seconds).bind(row.cpu_seconds).bind(row.flops_done).bind(row.tokens_done).bind(row.spent_flops);
  s.bind(bits(row.peak_memory_bytes)).bind(bits(row.predicted_memory_bytes));
  s.bind(row.record).bind(row.start_record).bind(row.finish_record);
  s.run();
}

std::optional<RunRow> Ledger::State::run(std::string_view id) {
  static const std::string kSql = fmt::format("SELECT {} FROM runs WHERE run = ?", kRowColumns);
  Statement& s = prepared(kSql.c_str()).bind(id);
  std::optional<RunRow> row;
  if (s.step()) row = read_row(s);
  s.reset();
  return row;
}

std::vector<RunRow> Ledger::State::runs() {
  static const std::string kSql = fmt::format("SELECT {} FROM runs ORDER BY record, run", kRowColumns);
  Statement& s = prepared(kSql.c_str());
  std::vector<RunRow> rows;
  while (s.step()) rows.push_back(read_row(s));
  s.reset();
  return rows;
}

std::optional<RunRow> Ledger::run(std::string_view id) const {
  return state_->run(id);
}
std::vector<RunRow> Ledger::runs() const {
  return state_->runs();
}

std::vector<Record> Ledger::records(std::string_view kind) const {
  static const std::string kAll = fmt::format("SELECT {} FROM records ORDER BY sequence", kRecordColumns);
  static const std::string kOfKind =
      fmt::format("SELECT {} FROM records WHERE kind = ? ORDER BY sequence", kRecordColumns);
  Statement& s = state_->prepared(kind.empty() ? kAll.c_str() : kOfKind.c_str());
  if (!kind.empty()) s.bind(kind);
  std::vector<Record> records;
  while (s.step()) records.push_back(read_record(s, state_->database->path()));
  s.reset();
  return records;
}

std::optional<Record> Ledger::last(std::string_view kind) const {
  static const std::string kSql =
      fmt::format("SELECT {} FROM records WHERE kind = ? ORDER BY sequence DESC LIMIT 1", kRecordColumns);
  Statement& s = state_->prepared(kSql.c_str()).bind(kind);
  std::optional<Record> record;
  if (s.step()) record = read_record(s, state_->database->path());
  s.reset();
  return record;
}

std::optional<Record> Ledger::record(int64_t sequence) const {
  static const std::string kSql = fmt::format("SELECT {} FROM records WHERE sequence = ?", kRecordColumns);
  Statement& s = state_->prepared(kSql.c_str()).bind(sequence);
  std::optional<Record> record;
  if (s.step()) record = read_record(s, state_->database->path());
  s.reset();
  return record;
}

Json Ledger::run_curve(std::string_view id) const {
  const std::optional<RunRow> row = run(id);
  if (row && row->gave_up()) {
    const std::vector<Record> attempts = records("attempt");
    for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt)
      if (attempt->payload.value("run", "") == id) return attempt->payload.value("curve", Json::array());
  }
  if (!row || !row->ended()) return Json::array();
  const std::optional<Record> finish = record(row->finish_record);
  return finish && finish->payload.contains("curve") ? finish->payload.at("curve") : Json::array();
}

Spend Ledger::spend() const {
  Spend spend;
  Statement& totals = state_->prepared(
      "SELECT total(seconds), total(spent_flops), sum(state = 'done'), sum(state = 'failed') FROM runs");
  if (totals.step()) {
    spend.slot_seconds = totals.real();
    spend.train_flops = totals.real();
    spend.runs_done = totals.integer();
    spend.runs_failed = totals.integer();
  }
  totals.reset();
  for (const Record& record : records("spend"))
    spend.slot_seconds += json_field_or<double>(record.payload, "seconds", 0, "spend record");
  return spend;
}

int64_t Ledger::size() const {
  return state_->head().sequence;
}

}  // namespace flywheel::ledger
