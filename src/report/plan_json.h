// Plans as the JSON object that `flywheel plan --json` prints (docs/plan.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "scaling/fit/plan.h"

namespace flywheel::report {

// The model of a lab's own recipe that comes nearest to a plan.
struct RecipeSize {
  int layers = 0, width = 0, heads = 0, feed_forward = 0, context = 0;
  double parameters = 0;
  int batch_sequences = 0;
  int64_t steps = 0;
  double tokens = 0, flops = 0, matrix_learning_rate = 0, head_learning_rate = 0;
  double loss = 0;  // forecast
};

// `unit`: of the loss, in words. `sizes`: one for each plan; empty: the runs are no lab's.
OrderedJson plan_json(const scaling::PlanRuns& runs, const std::string& unit, const scaling::PlanRequest& request,
                      const scaling::PlanResult& result, const std::vector<RecipeSize>& sizes);

}  // namespace flywheel::report
