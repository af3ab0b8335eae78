// activation: GELU and ReLU squared, element by element. Fusion moves it into the linear before it.
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/matmul.h"

namespace flywheel::graph {

extern const struct Op kActivation;
extern const struct Op kActivationBackward;
ValueId activation(Graph& graph, kernels::Activation kind, ValueId x);

}  // namespace flywheel::graph
