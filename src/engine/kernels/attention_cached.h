// Attention of one token over cached keys and values: what sampling runs. Plain loops: one token is bound by reading
// the cache.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// As AttentionShape (kernels/attention.h).
struct CachedAttentionShape {
  int heads = 0, kv_heads = 0, head_dim = 0;  // H, G, Dh; H is a multiple of G
  float scale = 0;
  int64_t window = 0;
  float softcap = 0;
  bool alibi = false;
  const float* sinks = nullptr;
};

// qkv ((H + 2G) * Dh): the token's own queries, keys and values. keys and values: (context, G * Dh); row `position` is
// written with the token's own, rows of the window before it are read. out (H * Dh). All of `dtype`. scores:
// position + 1 floats.
void attention_cached(const CachedAttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* keys, void* values,
                      int64_t position, void* out, float* scores);

// Multi-head latent attention (DeepSeek-V2 2024): what is cached of a token is its latent (L), of which every head's
// keys and values are linear functions, and one rotary key (R) that the heads share. The up-projections move to the
// query and to the result, so that neither keys nor values are ever made.
// query (H * Dh), each head's first R elements rotary; latent (L), rotary_key (R, null when R is 0): the token's own;
// up ((H * (Dh - R) + H * Dh), L) float32: keys of all heads, then values. latents (context, L), rotary_keys
// (context, R): caches. scores: position + 1 + 2 * L floats. G is not used.
struct LatentAttentionShape {
  CachedAttentionShape attention;
  int latent = 0, rotary = 0;  // L, R
};
void latent_attention_cached(const LatentAttentionShape& shape, tensor::Dtype dtype, const void* query,
                             const void* latent, const void* rotary_key, const float* up, void* latents,
                             void* rotary_keys, int64_t position, void* out, float* scores);

}  // namespace flywheel::kernels
