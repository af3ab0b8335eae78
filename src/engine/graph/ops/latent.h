// latent_qkv: queries, a rotary key that the heads share, and keys and values expanded from a latent become the qkv
// that attention takes (multi-head latent attention, DeepSeek-V2 2024). latent_attention_cached: the whole for one
// token, over a cache of latents.
#pragma once

#include "engine/graph/graph.h"
#include "engine/graph/ops/attention.h"

namespace flywheel::graph {

extern const struct Op kLatentQkv;
extern const struct Op kLatentQkvBackward;
extern const struct Op kLatentAttentionCached;

// query (T, H * Dh); rotary_key (T, R), or kNoValue when R is 0; expanded (T, H * (Dh - R) + H * Dh): the keys' other
// elements, then the values. Gives (T, 3 * H * Dh); each key is the rotary one, then its own.
ValueId latent_qkv(Graph& graph, ValueId query, ValueId rotary_key, ValueId expanded, int heads);

// query, rotary_key as above with T = 1; latent (1, L); `up` the parameter (H * (Dh - R) + H * Dh, L) that expands it;
// latents (context, L) and rotary_keys (context, R; kNoValue when R is 0) states; position as in attention_cached.
// Gives (1, H * Dh).
struct LatentAttentionInputs {
  ValueId query, latent, rotary_key, up, latents, rotary_keys, position, sinks;
};
ValueId latent_attention_cached(Graph& graph, const LatentAttentionInputs& inputs,
                                const AttentionAttributes& attributes);

}  // namespace flywheel::graph
