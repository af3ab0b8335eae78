// The work of a run: its training FLOPs by step, those of model and optimizer apart, and those of its evaluations, from
// which the lab computes progress and cost without knowing what is trained.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace flywheel::protocol {

struct RunWork {
  int64_t steps = 1;
  int64_t first_step = 0;  // where it begins: steps of the history that a branched run did not train itself
  // FLOPs of the model's whole history up to a step, from first_step to `steps`, increasing. Pure and thread safe.
  std::function<double(int64_t step)> flops_before = [](int64_t) { return 0.0; };

  // Of the optimizer's own work, beside flops_before(); the same in every step. 0: not counted.
  double optimizer_flops_per_step = 0;
  // Of one evaluation of the model. 0: not counted.
  double evaluation_flops = 0;
  int64_t evaluation_every = 0;  // steps; the last step is evaluated in any case. 0: it alone

  double history_flops() const { return flops_before(first_step); }
  double own_flops() const { return flops_before(steps) - history_flops(); }
  double own_optimizer_flops() const { return optimizer_flops_after(first_step); }
  double own_evaluation_flops() const { return evaluation_flops_after(first_step); }
  // What comes beside the model's own from this step on.
  double beside_after(int64_t step) const { return optimizer_flops_after(step) + evaluation_flops_after(step); }

  double optimizer_flops_after(int64_t step) const {
    return optimizer_flops_per_step * static_cast<double>(steps - step);
  }
  double evaluation_flops_after(int64_t step) const {
    const int64_t on_the_way = evaluation_every > 0 ? (steps - 1) / evaluation_every - step / evaluation_every : 0;
    return evaluation_flops * static_cast<double>(std::max<int64_t>(on_the_way, 0) + 1);
  }
};

}  // namespace flywheel::protocol
