// scale: a tensor times a constant. What a block adds to the residual stream under CompleteP.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kScale;
// Float32.
ValueId scale(Graph& graph, ValueId x, float factor);

}  // namespace flywheel::graph
