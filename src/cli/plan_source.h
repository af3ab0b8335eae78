// What `flywheel plan` plans from: the runs of a CSV or of a lab, and what they say about rates and speed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "scaling/laws/law.h"
#include "scaling/tables/rate_rules.h"

namespace flywheel::cli {

struct PlanSource {
  std::string name;                      // the path as given
  std::string unit;                      // of the loss, in words
  std::vector<scaling::Point> points;    // of the law; the best of each (N, D) where rates vary
  std::vector<scaling::SweepRun> sweep;  // all runs, where rates vary; empty: they do not
  std::optional<recipe::Recipe> recipe;  // a lab's
  double flops_per_second = 0;           // median of the lab's own runs, one slot each; 0: not known
  double lowest_flops = 0, highest_flops = 0;
  double highest_ratio = 0;  // tokens per parameter
};

// Throws kBadInput for a file that is not there or no table of runs.
PlanSource plan_source_from_csv(const std::string& path);
// Throws kBadInput for a folder that is no lab or holds too few finished runs to plan from.
PlanSource plan_source_from_lab(const std::string& path);

}  // namespace flywheel::cli
