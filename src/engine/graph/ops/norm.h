// norm: LayerNorm (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019) over rows, with gain and bias.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kNorm;
extern const struct Op kNormBackward;
// x (T, C) float32; gain and bias (C) parameters or kNoValue. Gives (T, C) in `dtype`.
ValueId norm(Graph& graph, bool subtract_mean, ValueId x, ValueId gain, ValueId bias, tensor::Dtype dtype);

}  // namespace flywheel::graph
