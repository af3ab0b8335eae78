// Numbers of a table that are stated in another unit than they are read in: one cell, or a whole column in thousands,
// millions or billions. Why: a run with 1e9 times its parameters would set the range that all forecasts start from.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {

// Leaves out rows of which N, D or C, were it a power of 1000 smaller or larger, would lie among the others' and fit
// what else the row says, and does not as it stands: FLOPs a factor kFarOff or more from 6 N D as the others have it,
// or, where FLOPs are not stated, N or D as far beyond all others and a loss off the law of the other rows (where it is
// a million times too large or small, no more than that the likely value fits). A run that is merely far larger than
// the others fits the law as it is, and stays. Adds a warning with line, value and the likely unit to the table's, also
// for a row that stays because losses cannot tell.
inline constexpr double kFarOff = 30;
void leave_out_other_units(RunsTable& table);

// A sentence for each column that looks stated in another unit throughout.
std::vector<std::string> columns_in_other_units(const RunsTable& table);

}  // namespace flywheel::scaling
