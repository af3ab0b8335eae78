// LayerNorm and RMSNorm over rows, and what can stand in their place without any statistics: tanh. x is the float32
// residual stream; y feeds matrix products.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

inline constexpr float kNormEpsilon = 1e-5f;

// y (M, C) float32 or bfloat16 = normalised x * gain (+ bias). gain and bias (C) may be null. statistics (M, 2): mean
// and inverse deviation (mean 0 for RMS).
void norm_forward(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                  void* y, tensor::Dtype y_dtype, float* statistics);
// dx (M, C) += ...; dgain, dbias (C) += (null: skipped).
void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   tensor::Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias);

// Zhu et al. 2025, "Transformers without Normalization": y (M, C) = gain * tanh(alpha * x) + bias; gain and bias (C).
void dynamic_tanh_forward(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                          void* y, tensor::Dtype y_dtype);
// dx (M, C) += ...; dalpha (1), dgain, dbias (C) +=.
void dynamic_tanh_backward(const float* x, float alpha, const float* gain, const void* dy, tensor::Dtype dy_dtype,
                           int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias);

}  // namespace flywheel::kernels
