// Whether a table holds runs of several datasets, which one law cannot be of. Pure.
#pragma once

#include <string>
#include <vector>

#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {

// A sentence for each column of text, of few values with enough runs each, whose values fitted one by one leave less
// than half of the deviation that one law leaves: with --group as the way out. Of many such columns the first few are
// looked at.
std::vector<std::string> group_suggestions(const Table& table, const RunsTable& runs);

}  // namespace flywheel::scaling
