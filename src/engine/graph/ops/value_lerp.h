// value_lerp: a layer's values on their way to the first layer's, by a share per token and channel;
// kernels/value_lerp.h says what it computes.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kValueLerp;
extern const struct Op kValueLerpBackward;

// value, first and x (T, N) of one dtype; `bias` a parameter (N).
ValueId value_lerp(Graph& graph, ValueId value, ValueId first, ValueId x, ValueId bias);

}  // namespace flywheel::graph
