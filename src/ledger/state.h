// What the ledger's own files share: the connection, its statements, and the rows they read and write.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "ledger/fold.h"
#include "ledger/index.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"

namespace flywheel::ledger {

// The last record of the chain.
struct Head {
  int64_t sequence = 0;
  std::string hash = kNoHash;
};

struct Ledger::State {
  std::unique_ptr<Database> database;
  std::map<std::string, Statement> statements;
  std::function<void(bool)> hook;
  std::function<bool(const std::string&)> wait;  // while nothing can be written

  // `write` is a whole transaction, which leaves nothing behind when it throws.
  template <typename Write>
  auto persist(Write&& write) {
    while (true) {
      std::string reason;
      try {
        return write();
      } catch (const StorageError& e) {
        reason = e.what();
        if (!wait) throw;
      }
      if (!wait(reason)) throw Error(ErrorCode::kStoppedEarly, reason + " The same command goes on from here.");
    }
  }
  std::vector<std::weak_ptr<const std::function<void(const RawRecord&)>>> listeners;
  Path scratch;  // of a copy that is read instead; removed at the end

  ~State();
  Statement& prepared(const char* sql);
  Head stored_head();
  // Built at the first call: a damaged ledger can be opened, and verified.
  const Index& index();
  const Head& head();  // of what the index has taken in
  void load();

  // Records of one transaction, with the rows of the runs that they change.
  struct Staged {
    explicit Staged(Head before) : head(std::move(before)) {}
    Head head;
    std::vector<RawRecord> records;
    std::vector<std::string> runs;  // of each record; empty: none
    std::map<std::string, RunRow> rows;
  };
  // Puts one record into the open transaction: chained and folded.
  std::optional<Refusal> insert(std::string_view kind, const Json& payload, Staged& staged);
  std::optional<Refusal> insert(std::string_view kind, std::string payload, Staged& staged);
  void commit(Transaction& transaction, const Staged& staged);
  void tell(const RawRecord& record);

  std::vector<RunRow> stored_rows();
  void write_row(const RunRow& row);

 private:
  bool loaded_ = false;
  Head head_;
  Index index_;
};

// Of table `runs`: the later ones of its columns, which ledgers of before get when they are opened for writing.
inline constexpr const char* kLaterColumns[] = {"spent_optimizer_flops", "spent_evaluation_flops"};
bool has_column(Database& database, const char* name);

// As JSON, for those that read fields of any kind.
Record with_json(const RawRecord& record, const Path& file);

}  // namespace flywheel::ledger
