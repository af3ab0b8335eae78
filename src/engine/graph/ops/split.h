// split: the columns of a matrix as several values, so that one product can make all that a block wants of its input.
#pragma once

#include <initializer_list>

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kSplit;
extern const struct Op kJoin;
// x (T, sum of widths), at most 8 of them, of any dtype. Gives (T, width) each.
std::vector<ValueId> split(Graph& graph, ValueId x, std::initializer_list<int64_t> widths);

}  // namespace flywheel::graph
