#include "workload/workload.h"

#include <algorithm>
#include <cmath>

namespace flywheel::workload {

int evaluations(double tokens, double eval_tokens) {
  return static_cast<int>(std::clamp(std::floor(0.05 * 3 * tokens / eval_tokens), 1.0, 20.0));
}

double cost_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                  double eval_tokens) {
  const double evaluation = eval_tokens * workload.evaluation_flops_per_token(configuration, run);
  return run.new_flops + evaluations(run.tokens, eval_tokens) * evaluation * run.new_flops / run.flops;
}

}  // namespace flywheel::workload
