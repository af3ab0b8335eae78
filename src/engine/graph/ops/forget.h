// forget: the logarithm of a recurrence's decay from a projection of its input (kernels/gates.h says how).
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/gates.h"

namespace flywheel::graph {

extern const struct Op kForget;
extern const struct Op kForgetBackward;

struct Forgotten {
  ValueId log_decay = kNoValue;  // (T, N) float32
  ValueId beta = kNoValue;       // the same, where the kind has a rate
};
// x (T, N), or (T, 2N) for kDelta; bias (N) and, where the kind has one, rate (N) are parameters.
Forgotten forget(Graph& graph, kernels::Forget kind, ValueId x, ValueId bias, ValueId rate = kNoValue);

}  // namespace flywheel::graph
