// grouped_linear: rows sorted by expert, each expert's through its own matrix. As linear, for a stack of weights.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kGroupedLinear;
extern const struct Op kGroupedLinearWeightGradient;

// x (R, in); `weights` a parameter (E, out, in); first (E + 1) int32: rows first[e] to first[e + 1] are expert e's.
// Gives (R, out) in `out_dtype`. FLOPs are those of R rows, whatever their experts.
ValueId grouped_linear(Graph& graph, ValueId x, ValueId weights, ValueId first, tensor::Dtype out_dtype);

}  // namespace flywheel::graph
