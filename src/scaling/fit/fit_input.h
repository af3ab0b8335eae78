// Options and input of a fit: the table of runs, cleaned as requested, with notes on what was changed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scaling/laws/law.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::scaling {

struct FitRequest {
  std::vector<std::string> forms;  // outliers and residuals are judged by the first; at least one
  Reduce reduce = Reduce::kNone;   // several losses of one (N, D)
  // A column whose values get a law each, or COLUMN=VALUE: the rows that have it; empty: one law of all.
  std::string group = {};
  std::vector<std::string> columns = {};  // what stands where, as --columns takes it
  bool checkpoints = false;               // all checkpoints of a run count, not only its last
  std::string unit = {};                  // of the losses; empty: from the column's name
  double huber = 1e-3;                    // delta on log residuals
  int drop_highest = 0;                   // so many of the highest losses are left out
  int bootstrap = 400, threads = 1;
  uint64_t seed = 1;
  bool drop_outliers = false;         // runs far off the law are left out, not only named
  bool compute_sees_frontier = true;  // forms of compute alone are fitted to the best run of each level
  bool skip_bad_rows = false;
};

// Comma-separated names; "all": every form of the table, chinchilla first.
std::vector<std::string> form_names(std::string_view list);

struct FitInput {
  std::string group;          // its name; empty: all runs
  RunsTable table;            // one row per run
  std::vector<Point> points;  // what is fitted: the table's, near-identical ones merged when there are many
  std::vector<std::string> notes;
};

// Three runs of different (N, D) lie on any curve of loss in compute, E + A / C^gamma: a fourth is the first to say
// whether the curve is right.
inline constexpr size_t kFewestFitted = 4;
size_t different_runs(std::span<const Point> points);

// One input, or one per group in order of appearance, of the bytes of a table (tables/runs_table.h). Throws kBadInput
// naming `where`, the line and the option, and for fewer different runs than kFewestFitted; groups of fewer are left
// out with a note.
std::vector<FitInput> fit_inputs(std::string_view bytes, const std::string& where, const FitRequest& request);
// Leaves out so many rows of the highest losses. Throws kBadInput naming the option for a number that leaves none.
void drop_highest(RunsTable& table, int dropped, const std::string& where);
// Leaves out the rows at these indices of input.table and merges again.
void drop_rows(FitInput& input, const std::vector<size_t>& rows);

}  // namespace flywheel::scaling
