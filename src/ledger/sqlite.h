// SQLite as the ledger needs it: a connection and statements that own their handles and throw what the contract says.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file_system.h"

namespace flywheel::ledger {

// A write that the disk, or another process, did not let through: later it may succeed.
class StorageError : public Error {
 public:
  explicit StorageError(const std::string& message) : Error(ErrorCode::kFailed, message) {}
};

// Not thread safe. Errors: kBadInput for a file that is no database or a damaged one, kFailed for a full or read-only
// disk, a failing device, or a file that somebody else keeps locked. Both name the file.
class Database {
 public:
  enum class Mode {
    kReadWrite,  // created when missing
    kReadOnly,   // beside a living writer
    kImmutable,  // a file that nobody writes, in a folder that may be read-only: no locks, no files beside it
  };
  Database(Path path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const char* sql);
  [[noreturn]] void fail(int code, const char* doing) const;
  sqlite3* handle() const { return handle_; }
  const Path& path() const { return path_; }

 private:
  Path path_;
  sqlite3* handle_ = nullptr;
};

// A prepared statement: bind in order, step through the rows, read columns in order. Reusable after reset().
class Statement {
 public:
  Statement(Database& database, const char* sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Starts over: parameters and columns count from the first again.
  Statement& reset();
  Statement& bind(int64_t value);
  Statement& bind(double value);
  Statement& bind(std::string_view value);
  Statement& bind_null();
  bool step();  // true: there is a row
  void run();   // to the end, ignoring rows

  int64_t integer();
  double real();
  std::string text();
  bool null();  // of the next column, without taking it
  void skip() { ++column_; }

 private:
  Database* database_;
  sqlite3_stmt* statement_ = nullptr;
  int parameter_ = 0;
  int column_ = 0;
};

// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }
  ~Transaction();
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace flywheel::ledger
