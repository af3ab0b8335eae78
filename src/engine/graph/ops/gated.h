// gated: activation(gate) * up over the two halves of each row; SwiGLU and GEGLU (Shazeer 2020).
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/matmul.h"

namespace flywheel::graph {

extern const struct Op kGated;
extern const struct Op kGatedBackward;
// gate_up (T, 2F): gate then up; the activation is kSilu or kGelu. Gives (T, F).
ValueId gated(Graph& graph, kernels::Activation gate, ValueId gate_up);

}  // namespace flywheel::graph
