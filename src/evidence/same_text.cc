#include "evidence/same_text.h"

#include "base/error.h"

namespace flywheel::evidence {
namespace {

std::string list_of(const ledger::RunRow& row) {
  return row.segments.empty() ? "no recorded list" : "list " + row.segments;
}

}  // namespace

void check_same_text(const ledger::RunRow& one, const ledger::RunRow& other) {
  if (one.segments == other.segments) return;
  throw_failed(
      "runs {} and {} were scored on different text ({} and {}): expected one list of segments for all runs that are "
      "compared. Begin a new lab with another --dir.",
      one.run, other.run, list_of(one), list_of(other));
}

}  // namespace flywheel::evidence
