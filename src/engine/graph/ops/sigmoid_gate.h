// sigmoid_gate: a tensor times the sigmoid of another of its shape, as in gated attention (Qiu et al. 2025).
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kSigmoidGate;
extern const struct Op kSigmoidGateBackward;
// x and gate of one shape and dtype. Gives x * sigmoid(gate).
ValueId sigmoid_gate(Graph& graph, ValueId x, ValueId gate);

}  // namespace flywheel::graph
