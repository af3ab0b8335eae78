// Fusion: passes over the node list that replace groups of ops by one op with an epilogue. Results are unchanged up to
// rounding; a graph runs without them as well (tests compare both).
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

// Runs every pass. Call after differentiate: saved values and gradients are then users like any other.
void fuse(Graph& graph);

}  // namespace flywheel::graph
