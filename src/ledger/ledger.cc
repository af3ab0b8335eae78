// Layout of ledger.sqlite: `records` is the truth, `runs` what it adds up to, `meta` the schema and the head of the
// chain. One append is one transaction over all three, so that a crash leaves either all of it or nothing.
#include "ledger/ledger.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/host/ownership.h"
#include "ledger/json_record.h"
#include "ledger/state.h"

namespace flywheel::ledger {
namespace {

constexpr const char* kFileName = "ledger.sqlite";
constexpr int64_t kApplicationId = 0x466c7977;  // "Flyw", in the file's header

constexpr const char* kSchema = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records(sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL,
  hash TEXT NOT NULL);
CREATE INDEX records_by_kind ON records(kind, sequence);
CREATE TABLE runs(run TEXT PRIMARY KEY, stage TEXT, recipe_hash TEXT, state TEXT, rung_flops REAL, parameters REAL,
  tokens REAL, flops REAL, reserved_seconds REAL, seed INTEGER, data_seed INTEGER, attempts INTEGER,
  failed_attempts INTEGER, reason TEXT, bits_per_byte REAL, loss REAL, seconds REAL, cpu_seconds REAL, flops_done REAL,
  tokens_done REAL, spent_flops REAL, peak_memory_bytes INTEGER, predicted_memory_bytes INTEGER, record INTEGER,
  start_record INTEGER, finish_record INTEGER, spent_optimizer_flops REAL, spent_evaluation_flops REAL) WITHOUT ROWID;
)";

int64_t single_integer(Database& database, const char* sql) {
  Statement statement(database, sql);
  return statement.step() ? statement.integer() : 0;
}

void create(Database& database) {
  Transaction transaction(database);
  if (single_integer(database, "SELECT count(*) FROM sqlite_master") == 0) {
    database.execute(kSchema);
    database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
    Statement(database, "INSERT INTO meta VALUES('schema', ?), ('head_sequence', '0'), ('head_hash', ?)")
        .bind(std::to_string(kSchemaVersion))
        .bind(std::string_view(kNoHash))
        .run();
  }
  transaction.commit();
}

void check_is_ledger(Database& database) {
  const std::string file = database.path().string();
  if (single_integer(database, "PRAGMA application_id") != kApplicationId)
    throw_bad_input("{}: expected a flywheel ledger, found another program's SQLite database. Choose another --dir.",
                    file);
  Statement schema(database, "SELECT value FROM meta WHERE key = 'schema'");
  const std::string found = schema.step() ? schema.text() : "none";
  if (found == std::to_string(kSchemaVersion)) return;
  if (found.size() < 10 && found.find_first_not_of("0123456789") == std::string::npos &&
      std::stoi(found) > kSchemaVersion)
    throw_bad_input(
        "{}: written by a newer flywheel (schema {}, this program knows {}). Update flywheel, or choose "
        "another --dir.",
        file, found, kSchemaVersion);
  throw_bad_input("{}: damaged: expected schema {}, found {}", file, kSchemaVersion, found);
}

// A copy of database and write-ahead log in a temporary folder, for a folder in which SQLite may not work.
Path temporary_copy(const Path& file) {
  const Path pattern = make_scratch_folder("flywheel-ledger");
  std::error_code error;
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(file.string() + suffix, pattern / (std::string(kFileName) + suffix), error);
    if (error) {
      std::filesystem::remove_all(pattern);
      throw_failed("cannot copy {}{} to {}: {}", file.string(), suffix, pattern.string(), error.message());
    }
  }
  return pattern;
}

}  // namespace

bool has_column(Database& database, const char* name) {
  const std::string sql = fmt::format("SELECT count(*) FROM pragma_table_info('runs') WHERE name = '{}'", name);
  return single_integer(database, sql.c_str()) > 0;
}

Ledger::State::~State() {
  statements.clear();
  database.reset();
  std::error_code ignored;
  if (!scratch.empty()) std::filesystem::remove_all(scratch, ignored);
}

Statement& Ledger::State::prepared(const char* sql) {
  auto found = statements.find(sql);
  if (found == statements.end()) found = statements.emplace(sql, Statement(*database, sql)).first;
  return found->second.reset();
}

Ledger::Ledger(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ledger::~Ledger() = default;

std::unique_ptr<Ledger> Ledger::open(const Path& lab_directory) {
  flywheel::create_directories(lab_directory);
  for (const char* suffix : {"", "-wal", "-shm"}) refuse_foreign(lab_directory / (std::string(kFileName) + suffix));
  auto state = std::make_unique<State>();
  state->database = std::make_unique<Database>(lab_directory / kFileName, Database::Mode::kReadWrite);
  Database& database = *state->database;
  // Nothing is written to a file before it is known to be ours.
  if (single_integer(database, "SELECT count(*) FROM sqlite_master") == 0) create(database);
  check_is_ledger(database);
  database.execute("PRAGMA journal_mode = WAL");
  database.execute("PRAGMA synchronous = FULL");
  for (const char* name : kLaterColumns)
    if (!has_column(database, name)) database.execute(fmt::format("ALTER TABLE runs ADD COLUMN {} REAL", name).c_str());
  return std::unique_ptr<Ledger>(new Ledger(std::move(state)));
}

std::unique_ptr<Ledger> Ledger::open_read_only(const Path& lab_directory) {
  const Path file = lab_directory / kFileName;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw_bad_input("{}: no lab here: expected a folder made by `flywheel run --dir`, found no {} in it",
                    lab_directory.string(), kFileName);
  auto state = std::make_unique<State>();
  // A folder in which SQLite may not make its files beside the ledger: a file at rest is read as it is, an unfinished
  // log is replayed in a copy.
  const bool log = std::filesystem::exists(file.string() + "-wal", ignored) &&
                   std::filesystem::file_size(file.string() + "-wal", ignored) > 0;
  const bool shared = std::filesystem::exists(file.string() + "-shm", ignored);
  const bool folder_writable = ::access(lab_directory.c_str(), W_OK) == 0;
  if (folder_writable || (log && shared)) {
    state->database = std::make_unique<Database>(file, Database::Mode::kReadOnly);
  } else if (!log) {
    state->database = std::make_unique<Database>(file, Database::Mode::kImmutable);
  } else {
    state->scratch = temporary_copy(file);
    state->database = std::make_unique<Database>(state->scratch / kFileName, Database::Mode::kReadWrite);
  }
  check_is_ledger(*state->database);
  return std::unique_ptr<Ledger>(new Ledger(std::move(state)));
}

Head Ledger::State::stored_head() {
  Head stored;
  Statement& query = prepared("SELECT key, value FROM meta WHERE key IN ('head_sequence', 'head_hash')");
  while (query.step()) {
    const std::string key = query.text();
    if (key == "head_hash") {
      stored.hash = query.text();
    } else {
      stored.sequence = query.integer();
    }
  }
  query.reset();
  return stored;
}

std::optional<Refusal> Ledger::State::insert(std::string_view kind, const Json& payload, Staged& staged) {
  if (!payload.is_object()) throw_bad_input("{} record: expected a JSON object, found {}", kind, payload.type_name());
  return insert(kind, canonical_json(payload), staged);
}

// Folded from the text, as verify() does later: what JSON cannot hold (NaN) must not differ between the two.
std::optional<Refusal> Ledger::State::insert(std::string_view kind, std::string payload, Staged& staged) {
  if (!is_record_kind(kind)) throw_bad_input("record kind: expected lower-case letters, found \"{}\"", kind);
  RawRecord record{staged.head.sequence + 1, utc_timestamp(), std::string(kind), std::move(payload), ""};
  record.hash = chain_hash(staged.head.hash, record.sequence, record.time, record.kind, record.payload);
  std::string run;
  if (const auto change = run_record(record)) {
    run = run_of(*change);
    std::optional<RunRow> row;
    if (const auto before = staged.rows.find(run); before != staged.rows.end()) {
      row = before->second;
    } else if (const RunRow* known = index().row(run)) {
      row = *known;
    }
    if (auto refusal = fold(row, record.sequence, *change)) return refusal;
    write_row(*row);
    staged.rows.insert_or_assign(run, std::move(*row));
  }
  prepared("INSERT INTO records VALUES(?, ?, ?, ?, ?)")
      .bind(record.sequence)
      .bind(record.time)
      .bind(record.kind)
      .bind(record.payload)
      .bind(record.hash)
      .run();
  staged.head = {record.sequence, record.hash};
  staged.records.push_back(std::move(record));
  staged.runs.push_back(std::move(run));
  return std::nullopt;
}

void Ledger::State::commit(Transaction& transaction, const Staged& staged) {
  prepared("UPDATE meta SET value = ? WHERE key = 'head_sequence'").bind(std::to_string(staged.head.sequence)).run();
  prepared("UPDATE meta SET value = ? WHERE key = 'head_hash'").bind(staged.head.hash).run();
  if (hook) hook(false);
  transaction.commit();
  head_ = staged.head;
  for (size_t i = 0; i < staged.records.size(); ++i)
    index_.apply(staged.records[i], staged.runs[i].empty() ? nullptr : &staged.rows.at(staged.runs[i]));
  if (hook) hook(true);
  for (const RawRecord& record : staged.records) tell(record);
}

void Ledger::State::tell(const RawRecord& record) {
  std::erase_if(listeners, [](const auto& listener) { return listener.expired(); });
  const auto now = listeners;  // one of them may come or go meanwhile
  for (const auto& weak : now)
    if (const auto listener = weak.lock()) (*listener)(record);
}

int64_t Ledger::append_raw(const std::vector<NewRecord>& records) {
  return state_->persist([&] {
    State::Staged staged(state_->head());
    Transaction transaction(*state_->database);
    for (const NewRecord& record : records)
      if (const auto refusal = state_->insert(record.kind, record.payload, staged))
        throw_failed("{}: {}", state_->database->path().string(), refusal->message);
    state_->commit(transaction, staged);
    return staged.head.sequence;
  });
}

void Ledger::append_all(const std::vector<NewRecord>& records) {
  if (!records.empty()) append_raw(records);
}

Recording Ledger::finish_run(const RunFinished& record) {
  return finish_run(Codec<RunFinished>::to_json(record));
}

Record Ledger::append(std::string_view kind, const Json& payload) {
  State::Staged staged(state_->head());
  Transaction transaction(*state_->database);
  if (const auto refusal = state_->insert(kind, payload, staged))
    throw_failed("{}: {}", state_->database->path().string(), refusal->message);
  state_->commit(transaction, staged);
  return with_json(staged.records.back(), state_->database->path());
}

void Ledger::append_all(const std::vector<std::pair<std::string, Json>>& records) {
  if (records.empty()) return;
  State::Staged staged(state_->head());
  Transaction transaction(*state_->database);
  for (const auto& [kind, payload] : records)
    if (const auto refusal = state_->insert(kind, payload, staged))
      throw_failed("{}: {}", state_->database->path().string(), refusal->message);
  state_->commit(transaction, staged);
}

Recording Ledger::finish_run(const Json& payload) {
  return state_->persist([&] {
    State::Staged staged(state_->head());
    Transaction transaction(*state_->database);
    if (const auto refusal = state_->insert("finish", payload, staged)) return refusal->why;
    state_->commit(transaction, staged);
    return Recording::kRecorded;
  });
}

Subscription Ledger::on_append(std::function<void(const RawRecord&)> listener) {
  auto shared = std::make_shared<const std::function<void(const RawRecord&)>>(std::move(listener));
  state_->listeners.push_back(shared);
  return shared;
}

void Ledger::when_stuck(std::function<bool(const std::string& reason)> wait) {
  state_->wait = std::move(wait);
}

void Ledger::on_commit(std::function<void(bool)> hook) {
  state_->hook = std::move(hook);
}

}  // namespace flywheel::ledger
