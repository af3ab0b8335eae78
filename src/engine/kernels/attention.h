// Causal attention over one sequence, online softmax in tiles (Dao et al. 2022): no (T, T) matrix is ever stored.
// What a score may go through before the softmax, in this order: scale, soft-cap (Gemma 2), ALiBi (Press et al. 2022).
// Also its two companions that prepare queries and keys in place: rotary positions and QK-norm.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

struct AttentionShape {
  int64_t tokens = 0;                         // T, of one sequence
  int heads = 0, kv_heads = 0, head_dim = 0;  // H, G, Dh; H is a multiple of G
  // qkv is (T, (H + 2G) * Dh): queries of all heads, then keys, then values, row stride qkv_stride.
  int64_t qkv_stride = 0, out_stride = 0;
  float scale = 0;               // of the scores
  int64_t window = 0;            // tokens that a query sees, itself included; 0: all up to itself
  float softcap = 0;             // scores become softcap * tanh(score / softcap); 0: off
  bool alibi = false;            // scores fall by alibi_slope(head, heads) per token of distance
  const float* sinks = nullptr;  // (H): logits in the softmax's denominator that give no value; null: none
};

// The first token that the one at `position` sees.
inline int64_t first_seen(int64_t position, int64_t window) {
  return window > 0 && position >= window ? position - window + 1 : 0;
}
// 2^(-8 (head + 1) / heads); when heads is no power of two, those of the power below and then every other one of the
// power above (Press et al. 2022, their code).
float alibi_slope(int head, int heads);

int64_t attention_workspace_bytes(const AttentionShape& shape, tensor::Dtype dtype);
// out (T, H * Dh); log_sum_exp (H, T) float32, for backward. qkv and out have dtype float32 or bfloat16.
void attention_forward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* out, float* log_sum_exp,
                       void* workspace);
// dqkv overwritten, dtype as qkv; dsinks (H) added to, null without sinks.
void attention_backward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, const void* out,
                        const void* dout, const float* log_sum_exp, void* dqkv, float* dsinks, void* workspace);

// Rotary table: cos and sin, (T, width / 2) each, float32; width is the part of a head that is rotated.
void rope_table(int64_t tokens, int width, double base, float* cosines, float* sines);
// In place on the first `vectors` heads of each row of qkv (queries and keys): optional RMS QK-norm (no gain), then
// optional rotation of the first `rotary` elements (rotary pairs (i, i + rotary / 2)). inverse_rms (T, vectors) is
// written when qk_norm, for backward.
struct QkShape {
  int64_t tokens = 0, stride = 0;
  int vectors = 0, head_dim = 0;  // vectors = H + G
  bool qk_norm = false;
  int rotary = 0;                  // even, at most head_dim
  const float* cosines = nullptr;  // null: no rotation
  const float* sines = nullptr;
};
void qk_prepare_forward(const QkShape& shape, tensor::Dtype dtype, void* qkv, float* inverse_rms);
// In place on dqkv; qkv is the prepared (forward's) output.
void qk_prepare_backward(const QkShape& shape, tensor::Dtype dtype, const void* qkv, const float* inverse_rms,
                         void* dqkv);

}  // namespace flywheel::kernels
