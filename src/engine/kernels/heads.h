// What surrounds attention, head by head: the gate of its output, values mixed with the first layer's, and the
// queries, keys and values of latent attention put together. All buffers have `dtype`, rows lie one after the other.
// Backward functions overwrite unless they say otherwise.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// y = x * sigmoid(gate), n elements.
void gate_forward(const void* x, const void* gate, void* y, tensor::Dtype dtype, int64_t n);
void gate_backward(const void* x, const void* gate, const void* dy, void* dx, void* dgate, tensor::Dtype dtype,
                   int64_t n);

// The last `values` of each row's `width` elements.
struct ValueShape {
  int64_t tokens = 0, width = 0, values = 0;
};
void values_forward(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, void* values);
void values_backward(const ValueShape& shape, tensor::Dtype dtype, const void* dvalues, void* dqkv);
// mixed = qkv, but its values v become v + share * (first - v); first (T, values).
void value_residual_forward(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first,
                            float share, void* mixed);
// dqkv may be dmixed. Returns the gradient of `share`.
float value_residual_backward(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first,
                              float share, const void* dmixed, void* dqkv, void* dfirst);

// query (T, H * Dh); rotary_key (T, R), the first R elements of every head's key; expanded (T, H * (Dh - R) + H * Dh):
// the rest of all keys, then all values. qkv (T, 3 * H * Dh) as attention takes it.
struct LatentShape {
  int64_t tokens = 0;
  int heads = 0, head_dim = 0, rotary = 0;  // H, Dh, R
};
void latent_qkv_forward(const LatentShape& shape, tensor::Dtype dtype, const void* query, const void* rotary_key,
                        const void* expanded, void* qkv);
void latent_qkv_backward(const LatentShape& shape, tensor::Dtype dtype, const void* dqkv, void* dquery,
                         void* drotary_key, void* dexpanded);

}  // namespace flywheel::kernels
