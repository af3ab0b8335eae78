// What RWKV-7 (Peng et al. 2025) puts around its recurrence: the token shift, the vectors of the generalised delta
// rule, and the output's group norm, bonus and gate. Computed in float32. H heads, K and V their widths; dtype is that
// of activations, parameters are float32.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

inline constexpr int64_t kShifts = 6;  // streams that a token shift makes

// Stream i is h_t + (h_{t-1} - h_t) * share_i. h (T, C); before (C) is the token before the first, null: zeros; shares
// (kShifts, C); streams (T, C) each.
void token_shift_forward(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const void* before,
                         const float* shares, void* const* streams);
// A null dstream is zeros. dh is overwritten, dshares added to. No token before the first.
void token_shift_backward(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const float* shares,
                          const void* const* dstreams, void* dh, float* dshares);

// y = tanh(x) or sigmoid(x), n elements; backward takes y and overwrites dx.
enum class Squash : uint8_t { kTanh, kSigmoid };
void squash_forward(Squash kind, tensor::Dtype dtype, const void* x, void* y, int64_t n);
void squash_backward(Squash kind, tensor::Dtype dtype, const void* y, const void* dy, void* dx, int64_t n);

struct RwkvShape {
  int64_t tokens = 0, heads = 0, key_dim = 0, value_dim = 0;
  int64_t keys() const { return heads * key_dim; }
  int64_t values() const { return heads * value_dim; }
  int64_t qkv_width() const { return 2 * keys() + values(); }
};

// With u = k * removal, unit per head, and r = sigmoid(rate + rate_bias):
// qkv = [receptance, k (1 + (r - 1) replacement), v] and ab = [-u, u r].
struct RwkvKeys {
  const void *receptance, *key, *value, *rate;     // (T, keys), (T, keys), (T, values), (T, keys)
  const float *rate_bias, *removal, *replacement;  // (keys)
};
void rwkv_keys_forward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, void* qkv, void* ab);
// Those of activations are overwritten, those of parameters added to.
struct RwkvKeyGradients {
  void *receptance, *key, *value, *rate;
  float *rate_bias, *removal, *replacement;
};
void rwkv_keys_backward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, const void* dqkv,
                        const void* dab, const RwkvKeyGradients& gradients);

// y = (gain (o - mean) / deviation + bias + (sum over a head's keys of q bonus k) v) gate: mean and deviation per head.
struct RwkvOutput {
  const void *mixed, *qkv, *gate;    // (T, values), (T, qkv_width), (T, values)
  const float *gain, *bias, *bonus;  // (values), (values), (keys)
};
void rwkv_output_forward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, void* y);
struct RwkvOutputGradients {
  void *mixed, *qkv, *gate;
  float *gain, *bias, *bonus;
};
void rwkv_output_backward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, const void* dy,
                          const RwkvOutputGradients& gradients);

inline constexpr float kRwkvNormEpsilon = 64e-5f;  // the paper's, of the output's norm

}  // namespace flywheel::kernels
