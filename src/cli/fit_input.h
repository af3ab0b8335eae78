// What `flywheel fit` is asked, and the runs it reads: options, the table cleaned as they say, and what there is to say
// about it. Errors: kBadInput naming the file, the line and the option.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scaling/tables/runs_clean.h"

namespace flywheel::cli {

struct FitCommand {
  std::string runs, predict, report;
  std::string forms = "all";
  std::string group, unit, reduce = "none", outliers = "keep", compute_runs = "frontier";
  double huber = 1e-3;
  int drop_highest = 0, bootstrap = 400, threads = 1;
  uint64_t seed = 1;
  bool skip_bad_rows = false, shared_exponents = false, json = false;
};

struct FitInput {
  std::string group;                   // its name; empty: all runs
  scaling::RunsTable table;            // one row per run
  std::vector<scaling::Point> points;  // what is fitted: the table's, near-identical ones merged when there are many
  std::vector<std::string> notes;
};

// The names of --forms; "all": every form, chinchilla first.
std::vector<std::string> wanted_forms(const FitCommand& command);
// One input, or one per group in order of appearance.
std::vector<FitInput> read_inputs(const FitCommand& command);
// N, D and optionally C of --predict; empty without it.
std::vector<scaling::Point> read_predictions(const FitCommand& command);
// Leaves out the rows at these indices of input.table and merges again.
void drop_rows(FitInput& input, const std::vector<size_t>& rows);

}  // namespace flywheel::cli
