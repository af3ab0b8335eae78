// Fusion: passes over the node list that replace groups of ops by one op with an epilogue. Results are unchanged up to
// rounding; a graph runs without them as well (tests compare both).
#pragma once

#include <span>

#include "engine/graph/graph.h"

namespace flywheel::graph {

struct FusionPass {
  const char* name;
  // Returns how many rewrites it made.
  int (*run)(Graph&);
};
// In the order they run: the one table.
std::span<const FusionPass> fusion_passes();

// Runs every pass. Call after differentiate: saved values and gradients are then users like any other.
void fuse(Graph& graph);

}  // namespace flywheel::graph
