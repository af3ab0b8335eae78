// add: sum of two tensors of one shape. Residual connections and gradients with several sources.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kAdd;
// Both float32 or both bfloat16.
ValueId add(Graph& graph, ValueId a, ValueId b);

}  // namespace flywheel::graph
