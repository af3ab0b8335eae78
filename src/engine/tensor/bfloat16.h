// bfloat16 to float32 and back, one element at a time, in one place so that every room rounds alike.
#pragma once

#include <bit>

#include "engine/tensor/tensor.h"

namespace flywheel::tensor {

inline float to_float(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

// Nearest, ties to even; infinities stay, NaN stays NaN (quiet).
inline Bf16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace flywheel::tensor
