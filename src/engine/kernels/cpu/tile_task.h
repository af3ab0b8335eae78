// One register tile of a matrix product, described: out (rows, columns) (+)= A · B. Strides in elements.
#pragma once

#include <cstdint>

#include "engine/tensor/bfloat16.h"

namespace flywheel::kernels {

struct TileTask {
  // Element (row, k) at a[row * a_row_stride + k * a_step_stride]; for bfloat16 k counts pairs.
  const void* a = nullptr;
  int64_t a_row_stride = 0, a_step_stride = 0;
  const void* b = nullptr;  // row k at b + k * b_step_stride; for bfloat16 a row holds pairs
  int64_t b_step_stride = 0;
  int64_t steps = 0;       // along K: float32 elements or bfloat16 pairs
  bool half_step = false;  // bfloat16: one more step, of which A has only the first of the pair
  float* out = nullptr;
  int64_t out_stride = 0;
  bool add = false;       // to what is in out already
  bool prefetch = false;  // ask for out, factor and residual while multiplying: where they are in no near cache
  // What happens to the result, in this order; with the stride of out.
  const void* factor = nullptr;     // multiplied by, in the dtype of A
  const float* residual = nullptr;  // added
  tensor::Bf16* rounded = nullptr;  // written instead of out
};

// Nothing happens to the result but to be stored or added.
inline bool is_plain(const TileTask& t) {
  return !t.factor && !t.residual && !t.rounded;
}

// Always inline: g++ takes a function that only prefetches for one without effect, and drops the call.
[[gnu::always_inline]] inline void prefetch_lines(const void* from, int64_t offset_bytes, int64_t bytes) {
  const char* start = static_cast<const char*>(from) + offset_bytes;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(start + i);
}

// Asks for a row of what the result goes to and is combined with, so that it is there when the sums are. A tile asks
// for its rows one after the other while it works: all at once would take every buffer for cache misses.
[[gnu::always_inline]] inline void prefetch_row(const TileTask& t, int64_t row, int64_t columns) {
  const int64_t at = row * t.out_stride, bytes = columns * static_cast<int64_t>(sizeof(float));
  if (t.rounded) {
    prefetch_lines(t.rounded, at * 2, bytes / 2);
    if (t.factor) prefetch_lines(t.factor, at * 2, bytes / 2);
  } else {
    prefetch_lines(t.out, at * 4, bytes);
    if (t.factor) prefetch_lines(t.factor, at * 4, bytes);
  }
  if (t.residual) prefetch_lines(t.residual, at * 4, bytes);
}

// Computes `rows` (1 to 6) by `columns` (16, 32, 48 or 64).
using TileFunction = void (*)(const TileTask& task, int64_t rows, int64_t columns);

}  // namespace flywheel::kernels
