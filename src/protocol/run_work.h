// The work of a run: its training FLOPs by step, from which the lab computes progress and cost without knowing what is
// trained.
#pragma once

#include <cstdint>
#include <functional>

namespace flywheel::protocol {

struct RunWork {
  int64_t steps = 1;
  int64_t first_step = 0;  // where it begins: steps of the history that a branched run did not train itself
  // FLOPs of the model's whole history up to a step, from first_step to `steps`, increasing. Pure and thread safe.
  std::function<double(int64_t step)> flops_before = [](int64_t) { return 0.0; };

  double history_flops() const { return flops_before(first_step); }
  double own_flops() const { return flops_before(steps) - history_flops(); }
};

}  // namespace flywheel::protocol
