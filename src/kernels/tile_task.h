// One register tile of a matrix product, described: out (rows, columns) (+)= A · B. Strides in elements.
#pragma once

#include <cstdint>

namespace flywheel::kernels {

struct TileTask {
  const void* a =
      nullptr;  // element (row, k) at a[row * a_row_stride + k * a_step_stride]; for bfloat16 k counts pairs
  int64_t a_row_stride = 0, a_step_stride = 0;
  const void* b = nullptr;  // row k at b + k * b_step_stride; for bfloat16 a row holds pairs
  int64_t b_step_stride = 0;
  int64_t steps = 0;       // along K: float32 elements or bfloat16 pairs
  bool half_step = false;  // bfloat16: one more step, of which A has only the first of the pair
  float* out = nullptr;
  int64_t out_stride = 0;
  bool add = false;
};

// Computes `rows` (1 to 6) by `columns` (16, 32, 48 or 64).
using TileFunction = void (*)(const TileTask& task, int64_t rows, int64_t columns);

}  // namespace flywheel::kernels
