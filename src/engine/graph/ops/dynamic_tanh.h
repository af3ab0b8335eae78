// dynamic_tanh: gain * tanh(alpha x) + bias in a norm's place (Zhu et al. 2025, "Transformers without Normalization").
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kDynamicTanh;
extern const struct Op kDynamicTanhBackward;
// x (T, C) float32; alpha (1), gain and bias (C) parameters. Gives (T, C) in `dtype`.
ValueId dynamic_tanh(Graph& graph, ValueId x, ValueId alpha, ValueId gain, ValueId bias, tensor::Dtype dtype);

}  // namespace flywheel::graph
