// value_residual: the values of a layer mixed with those of the first (Zhou et al. 2024), within the rows of qkv; and
// values, which reads them out of the first layer's.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kValues;
extern const struct Op kValuesBackward;
extern const struct Op kValueResidual;
extern const struct Op kValueResidualBackward;

// The last `width` elements of each row of qkv.
ValueId values(Graph& graph, ValueId qkv, int64_t width);
// qkv with its values v changed to (1 - share) v + share first; first (T, values), `share` a parameter (1).
ValueId value_residual(Graph& graph, ValueId qkv, ValueId first, ValueId share);

}  // namespace flywheel::graph
