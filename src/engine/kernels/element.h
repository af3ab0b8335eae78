// One element of a buffer whose dtype is known at run time and whose address may be misaligned.
#pragma once

#include <cstring>

#include "engine/tensor/bfloat16.h"

namespace flywheel::kernels {

inline float load_element(const void* data, tensor::Dtype dtype, int64_t index) {
  if (dtype == tensor::Dtype::kBfloat16) {
    tensor::Bf16 value;
    std::memcpy(&value, static_cast<const char*>(data) + index * 2, sizeof value);
    return tensor::to_float(value);
  }
  float value;
  std::memcpy(&value, static_cast<const char*>(data) + index * 4, sizeof value);
  return value;
}

inline void store_element(void* data, tensor::Dtype dtype, int64_t index, float value) {
  if (dtype == tensor::Dtype::kBfloat16) {
    const tensor::Bf16 rounded = tensor::to_bfloat16(value);
    std::memcpy(static_cast<char*>(data) + index * 2, &rounded, sizeof rounded);
  } else {
    std::memcpy(static_cast<char*>(data) + index * 4, &value, sizeof value);
  }
}

inline const void* element_address(const void* data, tensor::Dtype dtype, int64_t index) {
  return static_cast<const char*>(data) + index * tensor::dtype_bytes(dtype);
}
inline void* element_address(void* data, tensor::Dtype dtype, int64_t index) {
  return static_cast<char*>(data) + index * tensor::dtype_bytes(dtype);
}

}  // namespace flywheel::kernels
