// Reads a table of finished runs: the usual column names into points. Pure.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/table/table.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct TableOptions {
  bool loss_required = true;   // false: for predictions
  bool skip_bad_rows = false;  // false: a bad row refuses the table
  // A column whose text goes to RunsTable::groups, or COLUMN=VALUE: only the rows that have it; empty: neither.
  std::string group;
  std::vector<std::string> columns;  // what stands where, as --columns takes it (base/table/column_choice.h)
  bool checkpoints = false;          // false: of the checkpoints of one run the last one counts
};
// Whether TableOptions::group names a column alone, so that its values have a law each.
bool is_group_column(const Table& table, const std::string& group);

struct RunsTable {
  std::vector<Point> points;
  std::vector<int> rows;        // line in the file of each point, the header is line 1
  std::vector<size_t> origins;  // row of each point in the Table that it is from; empty: of none
  bool has_loss = true;
  std::string unit = "nats per token";  // of the losses, by the column's name
  std::vector<std::string> groups;      // of each point; empty without TableOptions::group
  std::vector<std::string> skipped;     // the bad rows, by skip_bad_rows: "line 7: column D (..): expected .."
  std::vector<std::string> warnings;    // rows that were left out, or look as if they should have been, and why
  std::array<std::string, 3> named;  // what N, D and C were read from: a column's name, an expression; empty: derived
  std::set<int> repeated;            // lines that repeat an earlier one in every cell and stay, as replicates may
};
// The rows at these indices, in their order.
RunsTable selected(const RunsTable& table, const std::vector<size_t>& kept);

// Columns by their usual names in any case, with units ("Params (M)", tokens_b) and after the prefixes of loggers
// (config.n_params, val/loss), or as chosen: N, D, L, C, U, epochs, width and depth; two of N, D and C at least: the
// third follows from C = 6 N D. Width over depth becomes the aspect. A perplexity becomes its logarithm, epochs become
// U = D / epochs. Left out with a warning: rows whose state says that the run did not finish; rows that repeat another
// in every cell, a column of mere row numbers aside, which are one run stated again; of rows of one run (its name, N
// and seed) at growing steps or tokens all but the last. Throws kBadInput naming the table, the line and the column,
// what was expected and found, and what to do: the header's mistakes with the columns that may be meant, the first few
// bad rows (all rows are read first), losses that look like another column. Adds to `table` what it knows of tables of
// its kind (known_tables.h).
RunsTable parse_runs(Table& table, const TableOptions& options);
// Of the bytes of a file; `where` names it in messages.
RunsTable parse_runs(std::string_view bytes, const std::string& where, const TableOptions& options);
RunsTable parse_runs(std::string_view bytes, const std::string& where, bool loss_required = true);

// What --columns may name in a table of runs.
const std::vector<std::string>& run_quantities();

}  // namespace flywheel::scaling
