// attention: causal softmax attention over one sequence, multi-head or grouped-query (Ainslie et al. 2023).
#pragma once

#include "graph/graph.h"

namespace flywheel::graph {

extern const struct Op kAttention;
extern const struct Op kAttentionBackward;

struct AttentionAttributes {
  int heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0;  // of the scores
};
// qkv (T, (H + 2G) * Dh): queries, keys, values. Gives (T, H * Dh) in qkv's dtype.
ValueId attention(Graph& graph, ValueId qkv, const AttentionAttributes& attributes);

}  // namespace flywheel::graph
