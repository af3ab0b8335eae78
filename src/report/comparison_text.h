// The answer of `flywheel compare` in words.
#pragma once

#include <string>

#include "ledger/records/search.h"

namespace flywheel::report {

std::string comparison_sentence(const ledger::ComparisonRecord& result);
// Runs of both sides that failed or went astray; empty: none.
std::string failed_text(const ledger::ComparisonRecord& result);
// Its labelled lines; `planned_pairs`: that its budget held on each rung.
std::string comparison_rows(const ledger::ComparisonRecord& result, double planned_pairs);

}  // namespace flywheel::report
