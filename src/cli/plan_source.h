// Input of `flywheel plan`: the runs of a CSV or a lab, their learning rates and throughput, and the model of a lab's
// recipe for a planned size.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "report/plan_json.h"
#include "scaling/fit/plan.h"

namespace flywheel::cli {

struct PlanSource {
  scaling::PlanRuns runs;
  std::string unit;                      // of the loss, in words
  std::optional<recipe::Recipe> recipe;  // a lab's
  double flops_per_second = 0;           // median of the lab's own runs, one slot each; 0: not known
};

struct PlanTable {
  std::string path;                  // "-": standard input
  std::vector<std::string> columns;  // what stands where, as --columns takes it
  std::string group;                 // COLUMN=VALUE: of these rows
  int drop_highest = 0;              // without so many rows of the highest losses
  bool checkpoints = false;          // all checkpoints of a run count
};
// Throws kBadInput for a file that is not there or no table of runs.
PlanSource plan_source_from_table(const PlanTable& wanted);
// Throws kBadInput for a folder that is no lab or holds too few finished runs to plan from.
PlanSource plan_source_from_lab(const std::string& path);
// One for each plan; empty without a recipe.
std::vector<report::RecipeSize> recipe_sizes(const PlanSource& source, const scaling::PlanResult& result);

}  // namespace flywheel::cli
