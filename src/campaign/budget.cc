#include "campaign/budget.h"

#include <algorithm>

namespace flywheel::campaign {

CampaignBudget::CampaignBudget(const Lab& lab)
    : lab_(lab), stopwatch_(lab.options.lab / "elapsed", lab.clock, lab.options.started_clock_seconds) {}

double CampaignBudget::seconds_left() const {
  return is_time() ? lab_.options.budget.seconds - seconds() - last_look_.seconds : 1e18;
}

double CampaignBudget::flops_left() const {
  return is_flops() ? lab_.options.budget.flops - lab_.ledger.spend().flops() - last_look_flops() : 1e30;
}

double CampaignBudget::share_left() const {
  return is_flops() ? flops_left() / lab_.options.budget.flops : seconds_left() / lab_.options.budget.seconds;
}

double CampaignBudget::flops_left_by_speed(const Throughput& speed) const {
  return is_flops() ? std::max(flops_left(), 1.0)
                    : std::max(seconds_left(), 1.0) * lab_.options.slots * speed.flops_per_second(1e5);
}

double CampaignBudget::cost(const workload::Configuration& configuration, const workload::SizedRun& run) const {
  return is_flops() ? workload::budget_flops(lab_.workload, configuration, run, lab_.eval_tokens())
                    : lab_.cost_flops(configuration, run);
}

LadderLimits CampaignBudget::limits(double fraction) const {
  return {.wall_seconds = is_time() ? std::max(fraction * seconds_left(), 1e-3) : 0,
          .flops = is_flops() ? std::max(fraction * flops_left(), 1.0) : 0,
          .slots = lab_.options.slots,
          .max_tokens = lab_.max_tokens(),
          .eval_tokens = lab_.eval_tokens(),
          .branching = lab_.options.branching};
}

scheduler::Deadline CampaignBudget::deadline() const {
  scheduler::Deadline deadline;
  if (is_time())
    deadline.at_clock_seconds = stopwatch_.clock_at(kHardStop * lab_.options.budget.seconds - last_look_.seconds);
  if (is_flops()) deadline.flops = std::max(lab_.options.budget.flops - last_look_flops(), 1.0);
  return deadline;
}

}  // namespace flywheel::campaign
