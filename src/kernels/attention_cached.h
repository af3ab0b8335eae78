// Attention of one token over cached keys and values: what sampling runs. Plain loops: one token is bound by reading
// the cache.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace flywheel::kernels {

struct CachedAttentionShape {
  int heads = 0, kv_heads = 0, head_dim = 0;  // H, G, Dh; H is a multiple of G
  float scale = 0;                            // of the scores
};

// qkv ((H + 2G) * Dh): the token's own queries, keys and values. keys and values: (context, G * Dh); row `position` is
// written with the token's own, rows before it are read. out (H * Dh). All of `dtype`. scores: position + 1 floats.
void attention_cached(const CachedAttentionShape& shape, Dtype dtype, const void* qkv, void* keys, void* values,
                      int64_t position, void* out, float* scores);

}  // namespace flywheel::kernels
