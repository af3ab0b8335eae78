// What surrounds a recurrence: forget gates from projections, and the normalised, gated output. Computed in float32.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// How a projection x becomes the logarithm of a decay, and for some the factor beta of what is written to the state.
// softplus(x) = log(1 + e^x).
enum class Forget : uint8_t {
  kRoot,     // log sigmoid(x + bias) / 16: Yang et al. 2023
  kStep,     // -e^rate beta with beta = softplus(x + bias): Dao and Gu 2024
  kDelta,    // -e^rate softplus(x + bias); beta is the sigmoid of a second x: Yang et al. 2024
  kSigmoid,  // -e^-0.5 sigmoid(x + bias): Peng et al. 2025
};
inline bool has_rate(Forget kind) {
  return kind == Forget::kStep || kind == Forget::kDelta;
}

struct ForgetShape {
  Forget kind = Forget::kRoot;
  int64_t tokens = 0, width = 0;  // T, N
  int64_t input_width() const { return kind == Forget::kDelta ? 2 * width : width; }
};
// x (T, input_width) of dtype; bias (N); rate (N) where the kind has one. log_decay and, with a rate, beta (T, N)
// float32.
void forget_forward(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias, const float* rate,
                    float* log_decay, float* beta);
// dbeta may be null. dx is overwritten; dbias and drate are added to.
void forget_backward(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias, const float* rate,
                     const float* dlog_decay, const float* dbeta, void* dx, float* dbias, float* drate);

// y = gain * x / rms(x) * silu(gate), each group of channels with a root mean square of its own; or, with gate_first,
// y = gain * n / rms(n) of n = x * silu(gate) (Dao and Gu 2024).
struct GatedNormShape {
  int64_t tokens = 0, groups = 0, group_width = 0;
  bool gate_first = false;
  int64_t width() const { return groups * group_width; }
};
// x, gate and y (T, width) of dtype; gain (width).
void gated_norm_forward(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                        const float* gain, void* y);
// dx and dgate are overwritten, dgain is added to.
void gated_norm_backward(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                         const float* gain, const void* dy, void* dx, void* dgate, float* dgain);

}  // namespace flywheel::kernels
