// Reads a table of finished runs: CSV with the usual column names into points. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

inline constexpr std::string_view kRunsSeparators = ",;\t";  // between cells, as the header says

struct TableOptions {
  bool loss_required = true;   // false: for predictions
  bool skip_bad_rows = false;  // false: a bad row refuses the table
  std::string group;           // name of a column whose text goes to RunsTable::groups; empty: none
};

struct RunsTable {
  std::vector<Point> points;
  std::vector<int> rows;  // line in the file of each point, the header is line 1
  bool has_loss = true;
  std::string unit = "nats per token";  // of the losses, by the column's name
  std::vector<std::string> groups;      // of each point; empty without TableOptions::group
  std::vector<std::string> skipped;     // the bad rows, by skip_bad_rows: "line 7: column D (..): expected .."
  std::vector<std::string> warnings;    // rows that were left out, or look as if they should have been, and why
  std::set<int> repeated;               // lines that repeat an earlier one in every cell and stay, as replicates may
};
// The rows at these indices, in their order.
RunsTable selected(const RunsTable& table, const std::vector<size_t>& kept);

// Columns by their usual names in any case (N, params, model_size, ..; D, tokens, ..; L, loss, val_loss, bpb,
// perplexity, ..; C, flops, ..; U, unique_tokens; epochs; width, d_model, ..; depth, n_layers, ..), two of N, D and C
// at least: the third follows from C = 6 N D. Width over depth becomes the aspect. A perplexity becomes its logarithm,
// epochs become U = D / epochs. A row that repeats another in every cell, a column of mere row numbers aside, is the
// same run stated again: it is left out with a warning. Read as base/csv.h says, with commas, semicolons or tabs
// between cells; numbers may be 1.3B / 20M / 300k / 2T. Throws kBadInput naming `where`, the line and the column, what
// was expected and found, and what to do: the header's mistakes, the first few bad rows (all rows are read first),
// losses that look like another column.
RunsTable parse_runs(std::string_view text, const std::string& where, const TableOptions& options);
RunsTable parse_runs(std::string_view text, const std::string& where, bool loss_required = true);

}  // namespace flywheel::scaling
