// Folds records into the rows of runs. Pure, so that append, verify and the tests share the same rules.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ledger/ledger.h"

namespace flywheel::ledger {

// Lower-case words only: a kind is hashed beside its payload, separated by newlines.
bool is_record_kind(std::string_view kind);

// The SHA-256 that chains a record to the one before it. `payload` is the canonical text.
std::string chain_hash(const std::string& previous_hash, int64_t sequence, const std::string& time,
                       const std::string& kind, const std::string& payload);
inline constexpr const char* kNoHash = "0000000000000000000000000000000000000000000000000000000000000000";

// The reason why a record cannot follow the existing ones.
struct Refusal {
  Recording why = Recording::kRecorded;
  std::string message;
};
// A record that changes the row of the run it names.
using RunRecord = std::variant<RunPlanned, RunStarted, AttemptEnded, RunFinished>;
// Empty: a record of no run. Throws kBadInput naming the field when the payload lacks one.
std::optional<RunRecord> run_record(const RawRecord& record);
const std::string& run_of(const RunRecord& record);
// Folds a run record into the row of its run (empty: the run is not known yet). On refusal the row is unchanged.
std::optional<Refusal> fold(std::optional<RunRow>& row, int64_t sequence, const RunRecord& record);

// The fields in which two rows differ; empty: none.
std::vector<std::string> row_difference(const RunRow& expected, const RunRow& found);

}  // namespace flywheel::ledger
