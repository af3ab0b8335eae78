#include "ledger/sqlite.h"

#include <utility>

#include "base/error.h"

namespace flywheel::ledger {
namespace {

constexpr int kBusyMilliseconds = 10000;

// A path as an SQLite URI: what has a meaning there is escaped.
std::string file_uri(const Path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    if (c == '?' || c == '#' || c == '%')
      uri += fmt::format("%{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else
      uri += c;
  }
  return uri + "?immutable=1";
}

}  // namespace

Database::Database(Path path, Mode mode) : path_(std::move(path)) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == Mode::kReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  std::string name = path_.string();
  if (mode == Mode::kImmutable) {
    flags |= SQLITE_OPEN_URI;
    name = file_uri(path_);
  }
  const int code = sqlite3_open_v2(name.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    try {
      fail(code, "open");
    } catch (...) {
      sqlite3_close(handle_);
      throw;
    }
  }
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
}

Database::~Database() {
  sqlite3_close(handle_);
}

void Database::fail(int code, const char* doing) const {
  const std::string file = path_.string();
  const std::string reason = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      throw_bad_input("{}: expected a flywheel ledger, found a file that is no SQLite database. Choose another --dir.",
                      file);
    case SQLITE_CORRUPT:
      throw_bad_input("{}: the ledger is damaged ({}). Restore it from a copy, or start a new lab in another folder.",
                      file, reason);
    case SQLITE_FULL:
      throw StorageError(fmt::format(
          "cannot {} {}: no space left on the disk. The ledger is as it was; free some space and go on.", doing, file));
    case SQLITE_READONLY:
      throw StorageError(fmt::format("cannot {} {}: the disk or the file is read-only ({}). The ledger is as it was.",
                                     doing, file, reason));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw StorageError(fmt::format("cannot {} {}: another process has kept it locked for {} s", doing, file,
                                     kBusyMilliseconds / 1000));
    default: {
      const int error = handle_ != nullptr ? sqlite3_system_errno(handle_) : 0;
      throw StorageError(fmt::format("cannot {} {}: {}{}{}. The ledger is as it was.", doing, file, reason,
                                     error != 0 ? ": " : "", error != 0 ? errno_text(error) : ""));
    }
  }
}

void Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, "use");
}

Statement::Statement(Database& database, const char* sql) : database_(&database) {
  const int code = sqlite3_prepare_v2(database.handle(), sql, -1, &statement_, nullptr);
  if (code != SQLITE_OK) database.fail(code, "read");
}
Statement::~Statement() {
  sqlite3_finalize(statement_);
}
Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  parameter_ = column_ = 0;
  return *this;
}
Statement& Statement::bind(int64_t value) {
  sqlite3_bind_int64(statement_, ++parameter_, value);
  return *this;
}
Statement& Statement::bind(double value) {
  sqlite3_bind_double(statement_, ++parameter_, value);
  return *this;
}
Statement& Statement::bind(std::string_view value) {
  sqlite3_bind_text(statement_, ++parameter_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  return *this;
}
Statement& Statement::bind_null() {
  sqlite3_bind_null(statement_, ++parameter_);
  return *this;
}

bool Statement::step() {
  column_ = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3_reset(statement_);
  database_->fail(code, sqlite3_stmt_readonly(statement_) ? "read" : "write");
}
void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
}

int64_t Statement::integer() {
  return sqlite3_column_int64(statement_, column_++);
}
double Statement::real() {
  return sqlite3_column_double(statement_, column_++);
}
std::string Statement::text() {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column_));
  const int size = sqlite3_column_bytes(statement_, column_++);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<size_t>(size));
}
bool Statement::null() {
  return sqlite3_column_type(statement_, column_) == SQLITE_NULL;
}

Transaction::~Transaction() {
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}
void Transaction::commit() {
  const int code = sqlite3_exec(database_.handle(), "COMMIT", nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) database_.fail(code, "write");
  open_ = false;
}

}  // namespace flywheel::ledger
