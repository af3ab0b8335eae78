// The workspace of attention: what one strip of queries needs beside its input and output.
#pragma once

#include <cstdint>

#include "engine/kernels/attention.h"
#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/panels.h"

namespace flywheel::kernels {

inline constexpr int64_t kStripRows = 48;  // a multiple of 6, even

inline int64_t strip_stride(int64_t tokens) {
  return unit_depth(tokens) + 16;
}  // + 16: no power of two

// Hands out 64-byte aligned parts of a workspace, or only counts them when `base` is null.
struct WorkspaceCursor {
  char* base = nullptr;
  int64_t used = 0;
  template <typename T>
  T* take(int64_t count) {
    const int64_t at = used;
    used += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return base ? reinterpret_cast<T*>(base + at) : nullptr;
  }
};

template <typename T>
struct AttentionBuffers {
  // Packed right-hand sides: transposes (Dh, T), rows (T, Dh).
  T *keys_transposed, *values_transposed, *key_rows, *value_rows, *query_rows, *dout_rows;
  float *scores, *dscores;  // (strip, T)
  T* left_rows;             // (strip, T) bfloat16: probabilities forward, dscores backward
  // The same, rows in pairs: left-hand sides transposed. On the matrix unit `pairs` has tiles of 16 keys by 32 rows.
  T *pairs, *dpairs;
  T *query_edge, *dout_edge;     // (32, Dh), even: a strip that the sequence does not fill
  float *out, *dkeys, *dvalues;  // (strip, Dh), (T, Dh), (T, Dh), Dh padded
  int64_t bytes;

  AttentionBuffers(const AttentionShape& s, tensor::Dtype dtype, void* workspace) {
    WorkspaceCursor cursor{workspace ? reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(workspace) + 63) / 64 * 64)
                                     : nullptr};
    const int64_t transposed = panel_depth(s.head_dim, dtype) * padded_columns(s.tokens);
    const int64_t width = padded_columns(s.head_dim), rows = unit_depth(s.tokens) * width;
    const int64_t strip = kStripRows * strip_stride(s.tokens);
    for (T** buffer : {&keys_transposed, &values_transposed}) *buffer = cursor.take<T>(transposed);
    for (T** buffer : {&key_rows, &value_rows, &query_rows, &dout_rows}) *buffer = cursor.take<T>(rows);
    for (float** buffer : {&scores, &dscores}) *buffer = cursor.take<float>(strip);
    for (T** buffer : {&left_rows, &pairs, &dpairs})
      *buffer = cursor.take<T>(dtype == tensor::Dtype::kBfloat16 ? strip : 0);
    for (T** buffer : {&query_edge, &dout_edge})
      *buffer = cursor.take<T>(dtype == tensor::Dtype::kBfloat16 ? kUnitBlock * panel_depth(s.head_dim, dtype) : 0);
    out = cursor.take<float>(kStripRows * width);
    for (float** buffer : {&dkeys, &dvalues}) *buffer = cursor.take<float>(unit_depth(s.tokens) * width);
    bytes = cursor.used + 64;
  }
};

}  // namespace flywheel::kernels
