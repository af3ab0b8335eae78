#include "campaign/options.h"

#include <algorithm>

namespace flywheel::campaign {

double Lab::eval_tokens() const {
  return std::clamp(static_cast<double>(options.search_tokens - 1), 1024.0, 65536.0);
}

double Lab::cost_flops(const workload::Configuration& configuration, const workload::SizedRun& run) const {
  return workload::cost_flops(workload, configuration, run, eval_tokens());
}

workload::SizedRun Lab::prior_run(const workload::Configuration& configuration, double flops) const {
  return workload.isoflop_runs(configuration, flops, workload.prior_parameters(configuration, flops), 1, max_tokens())
      .at(0);
}

}  // namespace flywheel::campaign
