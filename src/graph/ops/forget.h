// forget: the logarithm of a recurrence's decay from a projection of its input (kernels/gates.h says how).
#pragma once

#include "graph/graph.h"
#include "kernels/gates.h"

namespace flywheel::graph {

extern const struct Op kForget;
extern const struct Op kForgetBackward;

struct Forgotten {
  ValueId log_decay = kNoValue;  // (T, N) float32
  ValueId steps = kNoValue;      // the same; kSoftplus only
};
// x (T, N); bias (N) and, for kSoftplus alone, rate (N) are parameters.
Forgotten forget(Graph& graph, kernels::Forget kind, ValueId x, ValueId bias, ValueId rate = kNoValue);

}  // namespace flywheel::graph
