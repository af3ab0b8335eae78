// gated_norm: the output of a recurrence, RMS-normalised in groups (heads) and times the SiLU of a gate, in the order
// that kernels/gates.h describes.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kGatedNorm;
extern const struct Op kGatedNormBackward;

struct GatedNormAttributes {
  int64_t groups = 1;
  bool gate_first = false;
};
// x and gate (T, N) of one dtype, gain (N) a parameter. Gives (T, N).
ValueId gated_norm(Graph& graph, ValueId x, ValueId gate, ValueId gain, const GatedNormAttributes& attributes);

}  // namespace flywheel::graph
