#include "workload/workload.h"

#include <algorithm>
#include <cmath>

namespace flywheel::workload {

bool can_be_judged_on(const Workload& workload, protocol::Split split) {
  const std::vector<protocol::Split> splits = workload.splits();
  return std::find(splits.begin(), splits.end(), split) != splits.end();
}

protocol::Split audit_split(const Workload& workload) {
  return can_be_judged_on(workload, protocol::Split::kAudit) ? protocol::Split::kAudit : protocol::Split::kSearch;
}

int evaluations(const Workload& workload, const Configuration& configuration, const SizedRun& run, double eval_tokens) {
  const double evaluation = eval_tokens * workload.evaluation_flops_per_token(configuration, run);
  return static_cast<int>(std::clamp(std::floor(0.05 * run.flops / evaluation), 1.0, 20.0));
}

SizedRun at_cost(const Workload& workload, const Configuration& configuration, SizedRun run, double flops) {
  constexpr int kRounds = 4;  // the batch, and with it the optimizer's share, follows the model's FLOPs
  for (int i = 0; i < kRounds && run.optimizer_flops > 0; ++i)
    run = workload.resized(configuration, run, flops * run.flops / (run.flops + run.optimizer_flops));
  return run;
}

double evaluations_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                         double eval_tokens) {
  const double evaluation = eval_tokens * workload.evaluation_flops_per_token(configuration, run);
  // Those on the way that lie in a trunk are the trunk's own.
  const double own = evaluations(workload, configuration, run, eval_tokens) * run.new_flops / run.flops;
  return std::max(1.0, own) * evaluation;
}

double cost_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                  double eval_tokens) {
  return run.new_flops + evaluations_flops(workload, configuration, run, eval_tokens);
}

double budget_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                    double eval_tokens) {
  return cost_flops(workload, configuration, run, eval_tokens) + run.new_optimizer_flops;
}

}  // namespace flywheel::workload
