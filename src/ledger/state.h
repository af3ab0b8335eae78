// What the ledger's own files share: the connection, its statements, and the rows they read and write.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/fold.h"
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
  Path scratch;  // of a copy that is read instead; removed at the end

  ~State();
  Statement& prepared(const char* sql);
  Head head();
  Record insert(std::string_view kind, const Json& payload, Head& head, std::optional<Refusal>& refusal);
  void commit(Transaction& transaction, const Head& head);

  std::optional<RunRow> run(std::string_view id);
  std::vector<RunRow> runs();
  void write_row(const RunRow& row);
};

}  // namespace flywheel::ledger
