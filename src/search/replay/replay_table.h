// A table of finished runs as search problems: which columns are searched, which hold a run's cost, which name the
// grid, which rows failed. Column names match whatever their case, spaces and underscores. Pure functions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workload/space.h"

namespace flywheel::search {

struct ReplayQuestion {
  std::string target;                 // column of the loss; lower is better
  std::vector<std::string> fields;    // columns to search; empty: all that vary and are none of the others
  std::vector<std::string> group_by;  // columns whose values make a grid each; empty: N and D where they are there
  std::string cost;                   // column of FLOPs; empty: a column of FLOPs, or 6 N D, or unknown
  std::string success;                // column that says whether the run worked; empty: one named "success"
  std::vector<std::string> columns;   // what N, D, C and the loss (L) stand in, as --columns takes it
};

struct ReplayRow {
  int line = 0;
  workload::Values values;     // canonical, in the table's space
  std::optional<double> loss;  // empty: the run failed
  double flops = 0;            // 0: not known
};

struct ReplayGrid {
  std::string name;  // "N=214663680 D=4000000000"; empty: the table is one
  std::optional<double> parameters, tokens;
  std::vector<ReplayRow> rows;
};

struct ReplayTable {
  std::shared_ptr<const workload::SearchSpace> space;  // one for all grids
  std::vector<ReplayGrid> grids;                       // in ascending order of their columns
  bool is_cloud = false;              // points without a grid: a proposal runs as the nearest unused row
  std::string target;                 // the column's own name
  std::vector<std::string> left_out;  // "ti: follows from bs": columns and grids that are not searched
};

// Of the bytes of a file, read as base/table/table.h says. Throws kBadInput naming the column, or the line, for what is
// no such table.
ReplayTable read_replay_table(std::string_view bytes, const std::string& where, const ReplayQuestion& question);

}  // namespace flywheel::search
