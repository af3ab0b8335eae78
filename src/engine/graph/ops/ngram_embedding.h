// ngram_embedding: a row picked by the hash of the last n tokens (kernels/ngrams.h), beside the token's own embedding.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kNgramEmbedding;
extern const struct Op kNgramEmbeddingBackward;
// tokens (T) uint16, table (rows, C) a parameter. Gives (T, C) float32. For decoding (T = 1) `history`, a state (n - 1)
// uint16, keeps the tokens before this one, of which there are `position` (int32 external); both or neither are
// kNoValue.
ValueId ngram_embedding(Graph& graph, ValueId tokens, ValueId table, int n, ValueId history = kNoValue,
                        ValueId position = kNoValue);

}  // namespace flywheel::graph
