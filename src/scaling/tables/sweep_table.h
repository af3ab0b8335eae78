// The learning rate and batch size columns of a table of runs, which the law itself does not look at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaling/allocation/rate_rules.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {

// Columns lr or learning_rate, and batch, batch_size or bs, of the table that `runs` was parsed from. Where there is a
// smooth_loss it is taken for the loss: one noisy last step is not what a sweep compares. Empty: neither column is
// there. Throws kBadInput naming line and column for a cell that is no number above 0; a rate of 0 is read, and is none
// (rate_rules.h).
std::vector<SweepRun> parse_sweep(const Table& table, const RunsTable& runs);
std::vector<SweepRun> parse_sweep(std::string_view bytes, const std::string& where, const RunsTable& runs);

// The best run of each (N, D), as points for a law: runs with other rates are not the law's to explain.
std::vector<Point> best_of_each(const std::vector<SweepRun>& runs, const RunsTable& table);

}  // namespace flywheel::scaling
