// swiglu: silu(gate) * up over the two halves of each row (Shazeer 2020).
#pragma once

#include "graph/graph.h"

namespace flywheel::graph {

extern const struct Op kSwiglu;
extern const struct Op kSwigluBackward;
// gate_up (T, 2F): gate then up. Gives (T, F).
ValueId swiglu(Graph& graph, ValueId gate_up);

}  // namespace flywheel::graph
