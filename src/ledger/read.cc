// Reading the ledger: records, runs and spend.
#include "base/error.h"
#include "base/json.h"
#include "ledger/json_record.h"
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
  row.stage = protocol::StageName(std::string_view(s.text()));
  row.recipe_hash = s.text();
  row.state = protocol::parse_name<protocol::RunState>(s.text(), "ledger: table runs", "state");
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
  row.spent_optimizer_flops = s.real();
  row.spent_evaluation_flops = s.real();
  row.segments = s.text();
  return row;
}

constexpr const char* kRecordColumns = "sequence, time, kind, payload, hash";

RawRecord read_record(Statement& s) {
  RawRecord record;
  record.sequence = s.integer();
  record.time = s.text();
  record.kind = s.text();
  record.payload = s.text();
  record.hash = s.text();
  return record;
}

// Is it of this kind, tag included?
bool is_a(const RecordKind& kind, const RawRecord& record) {
  if (kind.tag_field.empty()) return true;
  const Json payload = parse_json(record.payload, fmt::format("ledger: record {}", record.sequence));
  const auto found = payload.find(std::string(kind.tag_field));
  if (found == payload.end() || !found->is_string()) return false;
  const auto& text = found->get_ref<const std::string&>();
  if (!kind.numbered) return text == kind.tag;
  return text.size() > kind.tag.size() && text.starts_with(kind.tag) &&
         text.find_first_not_of("0123456789", kind.tag.size()) == std::string::npos;
}

}  // namespace

void Ledger::State::write_row(const RunRow& row) {
  static const std::string kSql =
      fmt::format("INSERT OR REPLACE INTO runs({}, {}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                  kRowColumns, fmt::join(kLaterColumns, ", "));
  Statement& s = prepared(kSql.c_str());
  s.bind(row.run).bind(row.stage.text()).bind(row.recipe_hash).bind(protocol::name(row.state));
  s.bind(row.rung_flops).bind(row.parameters).bind(row.tokens).bind(row.flops).bind(row.reserved_seconds);
  s.bind(bits(row.seed)).bind(bits(row.data_seed));
  s.bind(int64_t{row.attempts}).bind(int64_t{row.failed_attempts}).bind(row.reason);
  bind_optional(s, row.bits_per_byte);
  bind_optional(s, row.loss);
  s.bind(row.seconds).bind(row.cpu_seconds).bind(row.flops_done).bind(row.tokens_done).bind(row.spent_flops);
  s.bind(bits(row.peak_memory_bytes)).bind(bits(row.predicted_memory_bytes));
  s.bind(row.record).bind(row.start_record).bind(row.finish_record);
  s.bind(row.spent_optimizer_flops).bind(row.spent_evaluation_flops);
  s.run();
}

std::vector<RunRow> Ledger::State::stored_rows() {
  // The table of an older lab has no column for the segments, so all labs' come from the run records; nor may it
  // have those for what was not counted then.
  std::string later;
  for (const char* name : kLaterColumns) later += fmt::format(", {}", has_column(*database, name) ? name : "0.0");
  const std::string sql = fmt::format(
      "SELECT {}{}, CASE WHEN json_valid(payload) THEN coalesce(json_extract(payload, '$.segments'), '') ELSE '' END "
      "FROM runs LEFT JOIN records ON records.sequence = runs.record ORDER BY record, run",
      kRowColumns, later);
  Statement s(*database, sql.c_str());
  std::vector<RunRow> rows;
  while (s.step()) rows.push_back(read_row(s));
  return rows;
}

void Ledger::State::load() {
  static const std::string kSql =
      fmt::format("SELECT {} FROM records WHERE kind IN ('attempt', 'plan', 'spend', 'evaluation') ORDER BY sequence",
                  kRecordColumns);
  database->execute("BEGIN");  // one look at all tables: a living owner may append meanwhile
  try {
    Index index;
    index.set_rows(stored_rows());
    Statement& s = prepared(kSql.c_str());
    while (s.step()) index.apply(read_record(s), nullptr);
    s.reset();
    head_ = stored_head();
    index_ = std::move(index);
    database->execute("COMMIT");
  } catch (const Error&) {
    statements.clear();
    sqlite3_exec(database->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  loaded_ = true;
}

const Index& Ledger::State::index() {
  if (!loaded_) load();
  return index_;
}

const Head& Ledger::State::head() {
  if (!loaded_) load();
  return head_;
}

bool Ledger::refresh() {
  const int64_t before = state_->head().sequence;
  if (state_->stored_head().sequence == before) return false;
  state_->load();
  return true;
}

Record with_json(const RawRecord& record, const Path& file) {
  return {record.sequence, record.time, record.kind,
          parse_json(record.payload, fmt::format("{}, record {}", file.string(), record.sequence)), record.hash};
}

const std::vector<RunRow>& Ledger::runs() const {
  return state_->index().rows();
}
std::optional<RunRow> Ledger::run(std::string_view id) const {
  const RunRow* row = state_->index().row(id);
  return row == nullptr ? std::nullopt : std::optional(*row);
}
Spend Ledger::spend() const {
  return state_->index().spend();
}
int64_t Ledger::size() const {
  return state_->head().sequence;
}
const std::string* Ledger::decision_payload(const std::string& stage) const {
  return state_->index().decision(stage);
}

std::vector<Stored<AttemptEnded>> Ledger::attempts(std::string_view id) const {
  std::vector<Stored<AttemptEnded>> attempts;
  for (const int64_t sequence : state_->index().attempts(id)) attempts.push_back(*at<AttemptEnded>(sequence));
  return attempts;
}

std::vector<RunCurvePoint> Ledger::run_curve(std::string_view id) const {
  const RunRow* row = state_->index().row(id);
  if (row == nullptr) return {};
  if (row->gave_up()) {
    const auto last = at<AttemptEnded>(state_->index().attempts(id).back())->value;
    return last.measured ? last.measured->curve : std::vector<RunCurvePoint>();
  }
  if (!row->ended()) return {};
  const auto finished = at<RunFinished>(row->finish_record)->value;
  return finished.measured ? finished.measured->curve : std::vector<RunCurvePoint>();
}

std::vector<RawRecord> Ledger::raw_records(const RecordKind& kind) const {
  static const std::string kAll =
      fmt::format("SELECT {} FROM records WHERE sequence <= ? ORDER BY sequence", kRecordColumns);
  static const std::string kOfKind =
      fmt::format("SELECT {} FROM records WHERE sequence <= ? AND kind = ? ORDER BY sequence", kRecordColumns);
  const int64_t newest = state_->head().sequence;
  Statement& s = state_->prepared(kind.kind.empty() ? kAll.c_str() : kOfKind.c_str()).bind(newest);
  if (!kind.kind.empty()) s.bind(kind.kind);
  std::vector<RawRecord> records;
  while (s.step()) {
    RawRecord record = read_record(s);
    if (is_a(kind, record)) records.push_back(std::move(record));
  }
  s.reset();
  return records;
}

std::optional<RawRecord> Ledger::last_raw(const RecordKind& kind) const {
  static const std::string kSql =
      fmt::format("SELECT {} FROM records WHERE kind = ? AND sequence <= ? ORDER BY sequence DESC", kRecordColumns);
  const int64_t newest = state_->head().sequence;
  Statement& s = state_->prepared(kSql.c_str()).bind(kind.kind).bind(newest);
  std::optional<RawRecord> found;
  while (!found && s.step())
    if (RawRecord record = read_record(s); is_a(kind, record)) found = std::move(record);
  s.reset();
  return found;
}

std::optional<RawRecord> Ledger::raw_record(int64_t sequence) const {
  static const std::string kSql = fmt::format("SELECT {} FROM records WHERE sequence = ?", kRecordColumns);
  Statement& s = state_->prepared(kSql.c_str()).bind(sequence);
  std::optional<RawRecord> record;
  if (s.step()) record = read_record(s);
  s.reset();
  return record;
}

std::vector<Record> Ledger::records(std::string_view kind) const {
  std::vector<Record> records;
  for (const RawRecord& raw : raw_records({kind})) records.push_back(with_json(raw, state_->database->path()));
  return records;
}

std::optional<Record> Ledger::last(std::string_view kind) const {
  const auto raw = last_raw({kind});
  return raw ? std::optional(with_json(*raw, state_->database->path())) : std::nullopt;
}

std::optional<Record> Ledger::record(int64_t sequence) const {
  const auto raw = raw_record(sequence);
  return raw ? std::optional(with_json(*raw, state_->database->path())) : std::nullopt;
}

}  // namespace flywheel::ledger
