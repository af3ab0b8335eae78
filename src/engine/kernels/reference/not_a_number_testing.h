// Values that are no numbers, and who has them: for the tests of what kernels make of such inputs.
#pragma once

#include <limits>

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                       kInfinity = std::numeric_limits<float>::infinity();
inline constexpr int64_t kOddLength = 37;  // two vectors and a tail, whatever their length

inline const char* name_of(tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kFloat32 ? "float32" : "bfloat16";
}

inline GuardedBuffer random_buffer(int64_t n, tensor::Dtype dtype, uint64_t seed) {
  GuardedBuffer buffer(n, dtype);
  return buffer.randomise(seed);
}

inline bool all_nan(const GuardedBuffer& x, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; ++i) {
    if (!std::isnan(x[i])) return false;
  }
  return true;
}
inline bool all_finite(const GuardedBuffer& x, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; ++i) {
    if (!std::isfinite(x[i])) return false;
  }
  return true;
}

}  // namespace flywheel::kernels
