// RWKV-7's value residual (Peng et al. 2025): values on their way to those of the first layer, by a share per channel
// that depends on the token. Computed in float32.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// y = v + (first - v) sigmoid(x + bias). v, first, x and y (T, N) of dtype; bias (N).
struct ValueLerp {
  int64_t tokens = 0, width = 0;
  const void *value, *first, *x;
  const float* bias;
};
void value_lerp_forward(const ValueLerp& inputs, tensor::Dtype dtype, void* y);
// Those of activations are overwritten, dbias is added to.
struct ValueLerpGradients {
  void *value, *first, *x;
  float* bias;
};
void value_lerp_backward(const ValueLerp& inputs, tensor::Dtype dtype, const void* dy,
                         const ValueLerpGradients& gradients);

}  // namespace flywheel::kernels
