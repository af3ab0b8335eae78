// One register tile of a matrix product, described: out (rows, columns) (+)= A · B. Strides in elements.
#pragma once

#include <cstdint>

#include "tensor/bfloat16.h"

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
  bool add = false;  // to what is in out already
  // What happens to the result, in this order; with the stride of out.
  const void* factor = nullptr;     // multiplied by, in the dtype of A
  const float* residual = nullptr;  // added
  Bf16* rounded = nullptr;          // written instead of out
};

// Asks for what the result will be combined with, so that it is there when the sums are.
inline void prefetch_operands(const TileTask& t, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(float);
  for (int64_t row = 0; row < rows && (t.add || t.residual); ++row) {
    const float* from = (t.add ? t.out : t.residual) + row * t.out_stride;
    for (int64_t i = 0; i < columns; i += kLine) __builtin_prefetch(from + i);
  }
}

// Computes `rows` (1 to 6) by `columns` (16, 32, 48 or 64).
using TileFunction = void (*)(const TileTask& task, int64_t rows, int64_t columns);

}  // namespace flywheel::kernels
