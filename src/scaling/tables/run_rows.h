// Which rows of a table are finished runs of their own: states, and checkpoints of one run. Pure.
#pragma once

#include <string>
#include <vector>

#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {

// False for each row whose column state or status says that the run did not finish (running, crashed, failed, ..); adds
// a warning with their number.
std::vector<bool> finished_rows(const Table& table, std::vector<std::string>& warnings);

// Of several rows of one run (the name in its column run, id, .., the same N and seed) whose steps or tokens all
// differ, or where nothing names runs of rows of one N that follow each other in even steps of a column step, only the
// last stays; adds a warning. Tables of several lengths of one size have no name that repeats and no even steps.
void leave_out_checkpoints(const Table& table, RunsTable& runs);

}  // namespace flywheel::scaling
