// Plans what to train with a budget from a table of runs: size, tokens, learning rate and batch, loss, time, the cost
// of other sizes, and the plan for a model that will be served.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scaling/allocation/allocation.h"
#include "scaling/allocation/optimum_rule.h"
#include "scaling/allocation/rate_rules.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/form_weights.h"

namespace flywheel::scaling {

struct PlanRuns {
  std::string name;             // of where they are from, for messages
  std::vector<Point> points;    // of the law; the best of each (N, D) where rates vary
  std::vector<SweepRun> sweep;  // all runs, where rates vary; empty: they do not
  double lowest_flops = 0, highest_flops = 0;
  double highest_ratio = 0;             // tokens per parameter
  std::vector<std::string> notes;       // on what was left out
  std::vector<std::string> warnings{};  // of the table they are from
};

// Fills in those from lowest_flops to notes. Throws kBadInput for fewer runs of different (N, D) than kFewestFitted.
PlanRuns plan_runs(std::string name, std::vector<Point> points, std::vector<SweepRun> sweep);

struct PlanRequest {
  std::vector<double> budgets;  // FLOPs of training, at least those of the smallest run
  double flops_per_second = 0;  // of one device; 0: not known
  double devices = 1;
  double served_tokens = 0;  // that the model reads or writes in its life; 0: it is not served
  std::string form =
      {};  // whose parameters are shown and whose sizes are approach 3; empty: the one that the runs favour
  int bootstrap = 400, threads = 1;
  uint64_t seed = 1;
};

struct ServedSize {
  Served served;
  Range N;  // 90%
};
struct ServedPlan {
  double tokens = 0;
  std::optional<ServedSize> same_loss;   // cheapest over its life at the loss of the plain plan; none: no size can
  std::optional<ServedSize> same_total;  // of lowest loss where training and serving together cost the budget
  std::optional<double> saving;          // of the first, as a share of what the plain plan costs over its life
};

struct Plan {
  Allocation allocation;
  std::vector<std::pair<std::string, double>> by_approach;  // name, size; those that have one
  std::optional<Range> learning_rate, batch;
  double seconds = 0, device_hours = 0;  // 0: no rate is known
  std::optional<ServedPlan> served;      // none where no optimum is identified
  std::vector<std::string> notes;
};

struct PlanResult {
  Fit fit;  // of the form asked for or favoured; sizes and losses are the forecaster's
  Forecaster forecaster;
  OptimumRule optimum;
  RateRules rates;
  std::vector<std::string> notes;  // on the runs as a whole
  std::vector<Plan> plans;         // one for each budget
};

// Throws kBadInput as fit() does, and for a budget below the smallest run or beyond what the runs carry.
PlanResult make_plans(const PlanRuns& runs, const PlanRequest& request);

}  // namespace flywheel::scaling
