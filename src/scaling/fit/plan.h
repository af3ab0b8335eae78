// Plans what to train with a budget from a table of runs: size, tokens, learning rate and batch, loss, time, the cost
// of other sizes, and the plan for a model that will be served.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scaling/allocation/allocation.h"
#include "scaling/allocation/approaches.h"
#include "scaling/allocation/rate_rules.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::scaling {

struct PlanRuns {
  std::string name;             // of where they are from, for messages
  std::vector<Point> points;    // of the law; the best of each (N, D) where rates vary
  std::vector<SweepRun> sweep;  // all runs, where rates vary; empty: they do not
  double lowest_flops = 0, highest_flops = 0;
  double highest_ratio = 0;  // tokens per parameter
};

// Fills in the last three. Throws kBadInput for too few runs to plan from.
PlanRuns plan_runs(std::string name, std::vector<Point> points, std::vector<SweepRun> sweep);

struct PlanRequest {
  std::vector<double> budgets;  // FLOPs of training, at least those of the smallest run
  double flops_per_second = 0;  // of one device; 0: not known
  double devices = 1;
  double served_tokens = 0;  // that the model reads or writes in its life; 0: it is not served
  std::string form = "chinchilla";
  int bootstrap = 200, threads = 1;
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
  std::vector<std::pair<std::string, double>> by_approach;  // name, size
  std::optional<Range> learning_rate, batch;
  double seconds = 0, device_hours = 0;  // 0: no rate is known
  std::optional<ServedPlan> served;
  std::vector<std::string> notes;
};

struct PlanResult {
  // Sizes come from a plain fit, losses from the forecaster, which gives runs off the frontier, those that place the
  // optimum, less of a say.
  Fit fit;
  Forecaster forecaster;
  std::vector<Approach> approaches;
  RateRules rates;
  std::vector<Plan> plans;  // one for each budget
};

// Throws kBadInput as fit() does, and for a budget below the smallest run.
PlanResult make_plans(const PlanRuns& runs, const PlanRequest& request);

}  // namespace flywheel::scaling
