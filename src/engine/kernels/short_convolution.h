// A causal convolution of a few taps along each channel, and SiLU: what recurrent mixers put before queries, keys and
// values (Fu et al. 2022; Gu and Dao 2023).
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

struct ConvolutionShape {
  int64_t tokens = 0, width = 0, taps = 0;  // T, N, K
};

// y_t = silu(sum over j of weight_j x_{t-j}), tokens before the first being zero. x and y (T, N) of dtype; weight
// (K, N), its first row for the token itself.
void short_convolution_forward(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                               void* y);
// dx is overwritten, dweight added to. workspace (T, N) float32.
void short_convolution_backward(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                                const void* dy, void* dx, float* dweight, float* workspace);
// One token x (N): `earlier` (K - 1, N) of dtype are the tokens before it, the latest first, and then those before the
// next.
void short_convolution_step(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                            void* earlier, void* y);

}  // namespace flywheel::kernels
