// gate: a tensor times the sigmoid of another of its shape, as in gated attention (Qiu et al. 2025).
#pragma once

#include "graph/graph.h"

namespace flywheel::graph {

extern const struct Op kGate;
extern const struct Op kGateBackward;
// x and gate of one shape and dtype. Gives x * sigmoid(gate).
ValueId gate(Graph& graph, ValueId x, ValueId gate);

}  // namespace flywheel::graph
