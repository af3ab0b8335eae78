// Matrix products with the right-hand side packed into panels once and used many times. Single-threaded: threads work
// on different sequences. Row-major; strides in elements; any sizes (odd, one, zero rows). No allocation.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

enum class Activation : uint8_t { kNone, kGelu, kReluSquared, kSilu };

// What happens to a result tile while it is still in the L1 cache, in this order.
struct Epilogue {
  const float* bias = nullptr;  // (N)
  Activation activation = Activation::kNone;
  void* slope = nullptr;            // (M, N) in C's dtype and stride: the activation's derivative, for backward
  const void* factor = nullptr;     // (M, N) in C's dtype and stride: multiplied by (a slope, in backward); may be C
  const float* residual = nullptr;  // (M, N) in C's stride: added (float32 C only); may be C
  bool accumulate = false;          // C += result (float32 C only)
};

// Bytes of a packed (K, N) right-hand side; kFloat32 or kBfloat16 (kept in pairs along K, as the dot instruction
// wants).
int64_t packed_bytes(int64_t k, int64_t n, tensor::Dtype dtype);
// Packs B, whose element (k, n) is source[k * k_stride + n * n_stride] (so Bᵀ costs nothing extra).
void pack(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, tensor::Dtype dtype,
          void* packed);

// C (M, N) = A (M, K) · B, with B packed in A's dtype; C is float32 or bfloat16.
void matmul(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b,
            int64_t n, void* c, tensor::Dtype c_dtype, int64_t c_stride, const Epilogue& epilogue = {});

// dW (N, K) += dYᵀ · X for dY (M, N) and X (M, K), both float32 or both bfloat16; dW float32. `workspace` holds at
// least outer_workspace_bytes(m, n, k, dtype).
int64_t outer_workspace_bytes(int64_t m, int64_t n, int64_t k, tensor::Dtype dtype);
void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, tensor::Dtype dtype,
                             int64_t m, int64_t n, int64_t k, float* dw, int64_t dw_stride, void* workspace);

}  // namespace flywheel::kernels
