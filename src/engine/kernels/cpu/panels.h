// How a right-hand side lies in memory once packed: panels of some columns (kPanelColumns in tile-inl.h, by instruction
// set), the last one narrower (a multiple of 16), each panel K rows deep. bfloat16 keeps rows in pairs (k, k + 1 side
// by side for each column), an odd K padded with a zero row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

inline constexpr int64_t kColumnMultiple = 16;
inline constexpr int64_t kTileRows = 6;  // rows of a register tile

// Columns of the left side of an outer product that are packed at a time: what stays in the L2 cache beside a panel.
inline constexpr int64_t kLeftColumns = 16 * kTileRows;

inline int64_t padded_columns(int64_t n) {
  return (n + kColumnMultiple - 1) / kColumnMultiple * kColumnMultiple;
}
inline int64_t panel_depth(int64_t k, tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kBfloat16 ? (k + 1) / 2 * 2 : k;
}

}  // namespace flywheel::kernels
