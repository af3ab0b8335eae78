// convert: between float32 (the residual stream) and bfloat16 (operands of matrix products).
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kConvert;
// The value itself when it has that dtype already.
ValueId convert(Graph& graph, ValueId x, tensor::Dtype dtype);

}  // namespace flywheel::graph
