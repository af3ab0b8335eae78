// attention: causal softmax attention over one sequence, multi-head or grouped-query (Ainslie et al. 2023).
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/attention_cached.h"

namespace flywheel::graph {

extern const struct Op kAttention;
extern const struct Op kAttentionBackward;

struct AttentionAttributes {
  int heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0;     // of the scores
  int64_t window = 0;  // and what else kernels/attention.h says of them
  float softcap = 0;
  bool alibi = false;
};
// qkv (T, (H + 2G) * Dh): queries, keys, values. `sinks`: a parameter (H), or kNoValue. Gives (T, H * Dh) in qkv's
// dtype.
ValueId attention(Graph& graph, ValueId qkv, const AttentionAttributes& attributes, ValueId sinks = kNoValue);

// attention_cached: the same for one token, whose key and value join those of the tokens before it.
extern const struct Op kAttentionCached;
// qkv (1, (H + 2G) * Dh); keys and values are states (context, G * Dh) in qkv's dtype; `position` int32 external: the
// tokens before this one, less than context. Gives (1, H * Dh).
ValueId attention_cached(Graph& graph, ValueId qkv, ValueId keys, ValueId values, ValueId position,
                         const AttentionAttributes& attributes, ValueId sinks = kNoValue);
// The kernel's view of a cached node; sinks null when there are none.
kernels::CachedAttentionShape cached_shape(const Node& node, const float* sinks);

}  // namespace flywheel::graph
