// Sizes that have no fast kernel, with the reason for messages: null means fast. What `flywheel bench` tells of a
// model.
#pragma once

#include "engine/kernels/cpu/panels.h"

namespace flywheel::kernels {

// A product with a (K, N) right-hand side.
inline const char* slower_product(int64_t k, int64_t n, tensor::Dtype dtype) {
  if (n % kColumnMultiple != 0) return "its last columns fill no vector of 16 and go through a buffer";
  return k % 2 != 0 && dtype == tensor::Dtype::kBfloat16 ? "its K is odd, the last pair half empty" : nullptr;
}

inline const char* slower_attention(int head_dim) {
  return head_dim % kColumnMultiple != 0 ? "a head fills no vectors of 16, the rest is computed and dropped" : nullptr;
}

}  // namespace flywheel::kernels
