// What records add up to: the rows of runs. Pure, so that append, verify and the tests fold with the same rules.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ledger/ledger.h"

namespace flywheel::ledger {

// Lower-case words only: a kind is hashed beside its payload, separated by newlines.
bool is_record_kind(std::string_view kind);
// run, start, attempt and finish change the row of the run they name.
bool touches_run(std::string_view kind);

// The SHA-256 that chains a record to the one before it. `payload` is the canonical text.
std::string chain_hash(const std::string& previous_hash, int64_t sequence, const std::string& time,
                       const std::string& kind, const std::string& payload);
inline constexpr const char* kNoHash = "0000000000000000000000000000000000000000000000000000000000000000";

// Why a record cannot follow what is there.
struct Refusal {
  Recording why = Recording::kRecorded;
  std::string message;
};
// Folds one run record into the row of its run (empty: the run is not known yet). On refusal the row is unchanged.
// Throws kBadInput naming the field when the payload lacks one.
std::optional<Refusal> fold(std::optional<RunRow>& row, const Record& record);

// The fields in which two rows differ; empty: none.
std::vector<std::string> row_difference(const RunRow& expected, const RunRow& found);

}  // namespace flywheel::ledger
