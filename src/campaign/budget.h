// What is left of a campaign's budget, in seconds or in FLOPs: those of training models, of the optimizers' own work
// beside them, and of evaluations.
#pragma once

#include "campaign/ladder.h"
#include "campaign/options.h"
#include "campaign/stopwatch.h"
#include "campaign/throughput.h"
#include "scheduler/scheduler.h"

namespace flywheel::campaign {

// What is kept for the end of a campaign: the last evaluations and the report.
struct LastLook {
  double seconds = 5;
  int64_t tokens = 262144;  // that each of the best model's two evaluations scores
  double flops = 0;         // of these two; 0 without a budget in FLOPs
  double gain_flops = 0;    // of the gain's looks on the locked split
};

// Of the budget left, for planned stages: replicates use the rest, and what runs take longer than expected. FLOPs are
// known exactly.
inline constexpr double kPlanFraction = 0.93, kPlanFractionOfFlops = 0.96;
inline constexpr double kHardStop = 1.02;  // Hard stop at 102% of the time budget.

// Not thread safe.
class CampaignBudget {
 public:
  explicit CampaignBudget(const Lab& lab);

  bool is_time() const { return lab_.options.budget.seconds > 0; }
  bool is_flops() const { return lab_.options.budget.flops > 0; }
  // What is left after what is kept for the last look. Without a budget of that kind: a very large number.
  double seconds_left() const;
  double flops_left() const;
  double share_left() const;
  // FLOPs left; a time budget is converted by the measured speed of the machine, which is in FLOPs of models.
  double flops_left_by_speed(const Throughput& speed) const;
  // What a run takes of them, its evaluations included.
  double cost(const workload::Configuration& configuration, const workload::SizedRun& run) const;
  double plan_fraction() const { return is_flops() ? kPlanFractionOfFlops : kPlanFraction; }
  // The limits of stages that may spend `fraction` of what is left.
  LadderLimits limits(double fraction) const;
  scheduler::Deadline deadline() const;

  const LastLook& last_look() const { return last_look_; }
  void keep(const LastLook& last_look) { last_look_ = last_look; }
  double last_look_flops() const { return last_look_.flops + last_look_.gain_flops; }
  // Once the budget is spent no run is started any more.
  bool is_spent() const { return spent_; }
  void mark_spent() { spent_ = true; }

  // Time in which nothing could run, for what the machine did, is not charged.
  void exclude(double seconds) { stopwatch_.exclude(seconds); }
  double seconds() const { return stopwatch_.seconds(); }
  void save_seconds(bool now = false) { stopwatch_.save(now); }

 private:
  const Lab& lab_;
  Stopwatch stopwatch_;
  LastLook last_look_;
  bool spent_ = false;
};

}  // namespace flywheel::campaign
