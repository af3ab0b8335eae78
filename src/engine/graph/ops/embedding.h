// embedding: rows of a table picked by token, plus learned positions. The start of the residual stream.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kEmbedding;
extern const struct Op kEmbeddingBackward;
// tokens (T) uint16, table (V, C) and positions (T, C; or kNoValue) parameters. Gives (T, C) float32.
// `position` (int32 external or kNoValue): the row of `positions` that the first token takes, for decoding.
ValueId embedding(Graph& graph, ValueId tokens, ValueId table, ValueId positions, ValueId position = kNoValue);

}  // namespace flywheel::graph
