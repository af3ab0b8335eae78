// How a right-hand side lies in memory once packed: panels of 64 columns, the last one narrower (a multiple of 16),
// each panel K rows deep. bfloat16 keeps rows in pairs (k, k + 1 side by side for each column), an odd K padded with a
// zero row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/tensor.h"

namespace flywheel::kernels {

inline constexpr int64_t kPanelColumns = 64;
inline constexpr int64_t kColumnMultiple = 16;
inline constexpr int64_t kTileRows = 6;  // rows of a register tile

// Columns of the left side of an outer product that are packed at a time: what stays in the L2 cache beside a panel.
inline constexpr int64_t kLeftColumns = 16 * kTileRows;

inline int64_t padded_columns(int64_t n) {
  return (n + kColumnMultiple - 1) / kColumnMultiple * kColumnMultiple;
}
inline int64_t panel_depth(int64_t k, Dtype dtype) {
  return dtype == Dtype::kBfloat16 ? (k + 1) / 2 * 2 : k;
}
// Width of the panel that starts at `column` (a multiple of 64).
inline int64_t panel_width(int64_t column, int64_t n) {
  return std::min(kPanelColumns, padded_columns(n) - column);
}

// Index of element (row, column) in a packed (k, n).
inline int64_t panel_element(int64_t row, int64_t column, int64_t k, int64_t n, Dtype dtype) {
  const int64_t start = column / kPanelColumns * kPanelColumns, width = panel_width(start, n);
  const int64_t base = start * panel_depth(k, dtype), inside = column - start;
  if (dtype == Dtype::kBfloat16) return base + row / 2 * width * 2 + inside * 2 + row % 2;
  return base + row * width + inside;
}

}  // namespace flywheel::kernels
