// Verification: the chain is computed again from the stored records, the runs are folded again, and both are compared.
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "ledger/json_record.h"
#include "ledger/state.h"

namespace flywheel::ledger {
namespace {

constexpr size_t kProblemsShown = 50;

// The first problem of a broken chain is the telling one: what follows it is compared with its own predecessor.
struct Walk {
  Head head;
  std::map<std::string, std::optional<RunRow>> runs;
  std::vector<std::string> problems;

  void record(const RawRecord& found) {
    if (found.sequence != head.sequence + 1)
      problems.push_back(fmt::format("record {}: expected record {} here: records are missing or were inserted",
                                     found.sequence, head.sequence + 1));
    if (chain_hash(head.hash, found.sequence, found.time, found.kind, found.payload) != found.hash)
      problems.push_back(
          fmt::format("record {} ({}, {}): its hash does not follow from its content and the record "
                      "before it: one of them was changed, removed, inserted or moved",
                      found.sequence, found.kind, found.time));
    head = {found.sequence, found.hash};
    try {
      const auto change = run_record(found);
      if (!change) return;
      if (const auto refusal = fold(runs[run_of(*change)], found.sequence, *change))
        problems.push_back(fmt::format("record {} ({}): {}", found.sequence, found.kind, refusal->message));
    } catch (const Error& e) {
      problems.emplace_back(e.what());
    }
  }

  void compare(const std::vector<RunRow>& table) {
    for (const RunRow& row : table) {
      const auto found = runs.find(row.run);
      if (found == runs.end() || !found->second) {
        problems.push_back(fmt::format("table runs: run {} is in no record", row.run));
        continue;
      }
      const auto fields = row_difference(*found->second, row);
      if (!fields.empty())
        problems.push_back(
            fmt::format("table runs: run {} differs from its records in {}", row.run, fmt::join(fields, ", ")));
      runs.erase(found);
    }
    for (const auto& [id, row] : runs)
      if (row) problems.push_back(fmt::format("table runs: run {} of record {} is missing", id, row->record));
  }
};

void check_integrity(Database& database, std::vector<std::string>& problems) {
  Statement check(database, "PRAGMA integrity_check(10)");
  while (check.step())
    if (const std::string line = check.text(); line != "ok") problems.push_back("SQLite: " + line);
}

}  // namespace

Ledger::Verification Ledger::verify() const {
  Walk walk;
  Verification result;
  try {
    // One read transaction: a living owner may append meanwhile.
    state_->database->execute("BEGIN");
    check_integrity(*state_->database, walk.problems);
    Statement rows(*state_->database, "SELECT sequence, time, kind, hash, payload FROM records ORDER BY sequence");
    while (rows.step()) {
      RawRecord record;
      record.sequence = rows.integer();
      record.time = rows.text();
      record.kind = rows.text();
      record.hash = rows.text();
      record.payload = rows.text();
      if (!parse_json_or_none(record.payload))
        walk.problems.push_back(fmt::format("record {}: its payload is not valid JSON", record.sequence));
      ++result.records;
      walk.record(record);
    }
    const Head stored = state_->stored_head();
    if (stored.sequence != walk.head.sequence || stored.hash != walk.head.hash)
      walk.problems.push_back(
          fmt::format("the ledger's head is record {}, the last record found is {}: records at the "
                      "end are missing or were added past the ledger",
                      stored.sequence, walk.head.sequence));
    walk.compare(state_->stored_rows());
    state_->database->execute("COMMIT");
  } catch (const Error& e) {
    sqlite3_exec(state_->database->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    walk.problems.push_back(e.what());
  }
  if (walk.problems.size() > kProblemsShown) {
    const size_t more = walk.problems.size() - kProblemsShown;
    walk.problems.resize(kProblemsShown);
    walk.problems.push_back(fmt::format("and {} more", more));
  }
  result.problems = std::move(walk.problems);
  result.head_hash = walk.head.hash;
  return result;
}

}  // namespace flywheel::ledger
