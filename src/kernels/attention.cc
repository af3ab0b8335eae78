// A strip of 48 queries at a time against all keys before them: scores, softmax and products on register tiles, in a
// workspace that grows with T, not T². Tiles wholly above the diagonal are never computed; on it, tiles end with their
// row. Query blocks and key blocks both start at multiples of 6, so what a tile reads of a strip has always been
// written.
#include "kernels/attention.h"

#include <cmath>

#include "kernels/element.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>

#include "kernels/tile-inl.h"

#ifndef FLYWHEEL_KERNELS_ATTENTION_WORKSPACE
#define FLYWHEEL_KERNELS_ATTENTION_WORKSPACE
namespace flywheel::kernels {

inline constexpr int64_t kStripRows = 48;  // a multiple of 6, even

inline int64_t strip_stride(int64_t tokens) {
  return padded_columns(tokens) + 16;
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
  float *scores, *dscores;       // (strip, T)
  T* left_rows;                  // (strip, T) bfloat16: probabilities forward, dscores backward
  T *pairs, *dpairs;             // the same, rows in pairs: left-hand sides transposed
  float *out, *dkeys, *dvalues;  // (strip, Dh), (T, Dh), (T, Dh), Dh padded
  int64_t bytes;

  AttentionBuffers(const AttentionShape& s, Dtype dtype, void* workspace) {
    WorkspaceCursor cursor{workspace ? reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(workspace) + 63) / 64 * 64)
                                     : nullptr};
    const int64_t transposed = panel_depth(s.head_dim, dtype) * padded_columns(s.tokens);
    const int64_t width = padded_columns(s.head_dim), rows = panel_depth(s.tokens, dtype) * width;
    const int64_t strip = kStripRows * strip_stride(s.tokens);
    for (T** buffer : {&keys_transposed, &values_transposed}) *buffer = cursor.take<T>(transposed);
    for (T** buffer : {&key_rows, &value_rows, &query_rows, &dout_rows}) *buffer = cursor.take<T>(rows);
    for (float** buffer : {&scores, &dscores}) *buffer = cursor.take<float>(strip);
    for (T** buffer : {&left_rows, &pairs, &dpairs}) *buffer = cursor.take<T>(dtype == Dtype::kBfloat16 ? strip : 0);
    out = cursor.take<float>(kStripRows * width);
    for (float** buffer : {&dkeys, &dvalues}) *buffer = cursor.take<float>(s.tokens * width);
    bytes = cursor.used + 64;
  }
};

}  // namespace flywheel::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
struct Attention {
  static constexpr Dtype kDtype = sizeof(T) == 4 ? Dtype::kFloat32 : Dtype::kBfloat16;
  static constexpr int64_t kPair = 4 / sizeof(T);

  const AttentionShape& s;
  AttentionBuffers<T> w;
  TileFunction tile_function = tile_for(kDtype);
  int64_t ld = strip_stride(s.tokens), width = padded_columns(s.head_dim);

  Attention(const AttentionShape& shape, void* workspace) : s(shape), w(shape, kDtype, workspace) {}

  // scores (rows, keys) = left (rows, Dh) · transposed, for the strip that starts at query q0.
  void score_strip(const T* left, int64_t left_stride, const T* transposed, int64_t q0, int64_t rows,
                   float* scores) const {
    const int64_t depth = panel_depth(s.head_dim, kDtype);
    TileTask task{.a_row_stride = left_stride,
                  .a_step_stride = kPair,
                  .steps = s.head_dim / kPair,
                  .half_step = s.head_dim % kPair != 0,
                  .out_stride = ld};
    for (int64_t start = 0; start < q0 + rows; start += kPanelColumns) {
      task.b = transposed + start * depth;
      task.b_step_stride = panel_width(start, s.tokens) * kPair;
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t count = std::min(kTileRows, rows - row);
        const int64_t columns = std::min(kPanelColumns, padded_columns(q0 + row + count) - start);
        if (columns <= 0) continue;
        task.a = left + row * left_stride;
        task.out = scores + row * ld + start;
        tile_function(task, count, columns);
      }
    }
  }

  // out (rows, Dh) = left (rows, keys) · packed rows, row by row up to the diagonal.
  void times_rows(const T* left, const T* packed, int64_t q0, int64_t rows) const {
    const int64_t depth = panel_depth(s.tokens, kDtype);
    TileTask task{.a_row_stride = ld, .a_step_stride = kPair, .out_stride = width};
    for (int64_t start = 0; start < width; start += kPanelColumns) {
      const int64_t columns = panel_width(start, s.head_dim);
      task.b = packed + start * depth;
      task.b_step_stride = columns * kPair;
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t count = std::min(kTileRows, rows - row);
        task.a = left + row * ld;
        task.steps = (q0 + row + count + kPair - 1) / kPair;
        task.out = w.out + row * width + start;
        tile_function(task, count, columns);
      }
    }
  }

  // sums (T, Dh) += leftᵀ · packed rows of the strip; left (strip, T), in pairs of rows for bfloat16.
  void add_transposed(const T* left, const T* packed, int64_t q0, int64_t rows, float* sums) const {
    const int64_t depth = panel_depth(s.tokens, kDtype);
    TileTask task{.a_row_stride = kPair, .a_step_stride = ld * kPair, .out_stride = width, .add = true};
    for (int64_t start = 0; start < width; start += kPanelColumns) {
      const int64_t columns = panel_width(start, s.head_dim);
      task.b_step_stride = columns * kPair;
      for (int64_t key = 0; key < q0 + rows; key += kTileRows) {
        const int64_t first = std::max<int64_t>(0, key - q0) / kPair;  // queries before `key` do not see it
        task.a = left + (first * ld + key) * kPair;
        task.b = packed + start * depth + (q0 / kPair + first) * columns * kPair;
        task.steps = (rows + kPair - 1) / kPair - first;
        task.out = sums + key * width + start;
        tile_function(task, std::min(kTileRows, q0 + rows - key), columns);
      }
    }
  }

  // Columns that tiles may read of a row of the strip.
  int64_t row_columns(int64_t q0, int64_t row, int64_t rows) const {
    return padded_columns(q0 + std::min(row / kTileRows * kTileRows + kTileRows, rows));
  }

  // Scores of one query become exp(score - max), zero beyond the diagonal. Returns 1 / sum; writes the log-sum-exp.
  float softmax_row(float* row, T* probabilities, int64_t keys, int64_t columns, float* log_sum_exp) const {
    const auto scale = hn::Set(kFloats, s.scale), none = hn::Set(kFloats, -3e38f);
    Floats largest = none, sum = hn::Zero(kFloats);
    for (int64_t i = 0; i < keys; i += kLanes) {
      Floats x = hn::Mul(load(row + i), scale);
      if (i + kLanes > keys) x = hn::IfThenElse(hn::FirstN(kFloats, static_cast<size_t>(keys - i)), x, none);
      largest = hn::Max(x, largest);
    }
    largest = hn::MaxOfLanes(kFloats, largest);
    for (int64_t i = 0; i < columns; i += kLanes) {
      Floats p = exp(hn::MulSub(load(row + i), scale, largest));
      if (i + kLanes > keys)
        p = hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<size_t>(std::max<int64_t>(0, keys - i))), p);
      sum = hn::Add(sum, p);
      store(p, probabilities + i);
    }
    const float total = hn::GetLane(hn::SumOfLanes(kFloats, sum));
    *log_sum_exp = hn::GetLane(largest) + std::log(total);
    return 1.0f / total;
  }

  void store_row(const float* from, float factor, T* to) const {
    for (int64_t i = 0; i < s.head_dim; i += kLanes) {
      store(hn::Mul(load(from + i), hn::Set(kFloats, factor)), to + i, s.head_dim - i);
    }
  }

  void forward(const T* qkv, T* out, float* log_sum_exp) const {
    T* const probabilities = kPair == 1 ? reinterpret_cast<T*>(w.scores) : w.left_rows;
    float inverse_sums[kStripRows];
    for (int64_t head = 0; head < s.heads; ++head) {
      const T* query = qkv + head * s.head_dim;
      if (head % (s.heads / s.kv_heads) == 0) {
        const T* key = qkv + (s.heads + head / (s.heads / s.kv_heads)) * s.head_dim;
        pack_transposed(key, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
        pack_rows(key + s.kv_heads * s.head_dim, s.qkv_stride, s.tokens, s.head_dim, w.value_rows);
      }
      for (int64_t q0 = 0; q0 < s.tokens; q0 += kStripRows) {
        const int64_t rows = std::min(kStripRows, s.tokens - q0);
        score_strip(query + q0 * s.qkv_stride, s.qkv_stride, w.keys_transposed, q0, rows, w.scores);
        for (int64_t row = 0; row < rows; ++row) {
          inverse_sums[row] = softmax_row(w.scores + row * ld, probabilities + row * ld, q0 + row + 1,
                                          row_columns(q0, row, rows), log_sum_exp + head * s.tokens + q0 + row);
        }
        times_rows(probabilities, w.value_rows, q0, rows);
        for (int64_t row = 0; row < rows; ++row) {
          store_row(w.out + row * width, inverse_sums[row], out + (q0 + row) * s.out_stride + head * s.head_dim);
        }
      }
    }
  }

  float dot_row(const T* a, const T* b) const {
    Floats sum = hn::Zero(kFloats);
    for (int64_t i = 0; i < s.head_dim; i += kLanes) {
      sum = hn::MulAdd(load(a + i, s.head_dim - i), load(b + i, s.head_dim - i), sum);
    }
    return hn::GetLane(hn::SumOfLanes(kFloats, sum));
  }

  // In place: scores become probabilities, and dprobabilities become dscores. `dot` is the row's dout · out.
  void softmax_backward_row(int64_t row, int64_t keys, int64_t columns, float log_sum_exp, float dot) const {
    float *p_row = w.scores + row * ld, *d_row = w.dscores + row * ld;
    const auto scale = hn::Set(kFloats, s.scale), offset = hn::Set(kFloats, log_sum_exp);
    const auto mean = hn::Set(kFloats, dot);
    for (int64_t i = 0; i < columns; i += kLanes) {
      Floats p = exp(hn::MulSub(load(p_row + i), scale, offset));
      Floats d = hn::Mul(hn::Mul(p, scale), hn::Sub(load(d_row + i), mean));
      if (i + kLanes > keys) {
        const auto seen = hn::FirstN(kFloats, static_cast<size_t>(std::max<int64_t>(0, keys - i)));
        p = hn::IfThenElseZero(seen, p);
        d = hn::IfThenElseZero(seen, d);
      }
      store(p, p_row + i);
      store(d, d_row + i);
    }
  }

  // bfloat16: rounds rows `row` and `row + 1` (zero when beyond the strip) of both strips into pairs, and dscores into
  // rows.
  void round_pair(int64_t row, int64_t rows, int64_t columns) const {
    const bool both = row + 1 < rows;
    for (int64_t i = 0; i < columns; i += kLanes) {
      const float *p = w.scores + row * ld + i, *d = w.dscores + row * ld + i;
      const auto p0 = rounded_bits(load(p)), p1 = both ? rounded_bits(load(p + ld)) : hn::Zero(kInts);
      const auto d0 = rounded_bits(load(d)), d1 = both ? rounded_bits(load(d + ld)) : hn::Zero(kInts);
      store_pairs(p0, p1, w.pairs + row * ld + 2 * i);
      store_pairs(d0, d1, w.dpairs + row * ld + 2 * i);
      store_upper(d0, w.left_rows + row * ld + i);
      if (both) store_upper(d1, w.left_rows + (row + 1) * ld + i);
    }
  }

  void backward(const T* qkv, const T* out, const T* dout, const float* log_sum_exp, T* dqkv) const {
    const int64_t group = s.heads / s.kv_heads;
    const T* dscore_rows = kPair == 1 ? reinterpret_cast<T*>(w.dscores) : w.left_rows;
    const T* pairs = kPair == 1 ? reinterpret_cast<T*>(w.scores) : w.pairs;
    const T* dpairs = kPair == 1 ? reinterpret_cast<T*>(w.dscores) : w.dpairs;
    for (int64_t head = 0; head < s.heads; ++head) {
      const int64_t query_at = head * s.head_dim, key_at = (s.heads + head / group) * s.head_dim;
      const int64_t value_at = key_at + s.kv_heads * s.head_dim;
      if (head % group == 0) {
        pack_transposed(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
        pack_transposed(qkv + value_at, s.qkv_stride, s.tokens, s.head_dim, w.values_transposed);
        pack_rows(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.key_rows);
        std::fill_n(w.dkeys, s.tokens * width, 0.0f);
        std::fill_n(w.dvalues, s.tokens * width, 0.0f);
      }
      pack_rows(qkv + query_at, s.qkv_stride, s.tokens, s.head_dim, w.query_rows);
      pack_rows(dout + query_at, s.out_stride, s.tokens, s.head_dim, w.dout_rows);
      for (int64_t q0 = 0; q0 < s.tokens; q0 += kStripRows) {
        const int64_t rows = std::min(kStripRows, s.tokens - q0);
        const T* dout_strip = dout + q0 * s.out_stride + query_at;
        score_strip(qkv + q0 * s.qkv_stride + query_at, s.qkv_stride, w.keys_transposed, q0, rows, w.scores);
        score_strip(dout_strip, s.out_stride, w.values_transposed, q0, rows, w.dscores);
        for (int64_t row = 0; row < rows; ++row) {
          const float dot = dot_row(dout_strip + row * s.out_stride, out + (q0 + row) * s.out_stride + query_at);
          softmax_backward_row(row, q0 + row + 1, row_columns(q0, row, rows), log_sum_exp[head * s.tokens + q0 + row],
                               dot);
        }
        if constexpr (kPair == 2) {
          for (int64_t row = 0; row < rows; row += 2) round_pair(row, rows, row_columns(q0, row, rows));
        }
        add_transposed(pairs, w.dout_rows, q0, rows, w.dvalues);
        add_transposed(dpairs, w.query_rows, q0, rows, w.dkeys);
        times_rows(dscore_rows, w.key_rows, q0, rows);
        for (int64_t row = 0; row < rows; ++row) {
          store_row(w.out + row * width, 1.0f, dqkv + (q0 + row) * s.qkv_stride + query_at);
        }
      }
      if ((head + 1) % group != 0) continue;
      for (int64_t t = 0; t < s.tokens; ++t) {
        store_row(w.dkeys + t * width, 1.0f, dqkv + t * s.qkv_stride + key_at);
        store_row(w.dvalues + t * width, 1.0f, dqkv + t * s.qkv_stride + value_at);
      }
    }
  }
};

void attention_forward_any(const AttentionShape& shape, Dtype dtype, const void* qkv, void* out, float* log_sum_exp,
                           void* workspace) {
  if (dtype == Dtype::kFloat32) {
    Attention<float>(shape, workspace).forward(static_cast<const float*>(qkv), static_cast<float*>(out), log_sum_exp);
  } else {
    Attention<Bf16>(shape, workspace).forward(static_cast<const Bf16*>(qkv), static_cast<Bf16*>(out), log_sum_exp);
  }
}

void attention_backward_any(const AttentionShape& shape, Dtype dtype, const void* qkv, const void* out,
                            const void* dout, const float* log_sum_exp, void* dqkv, void* workspace) {
  if (dtype == Dtype::kFloat32) {
    Attention<float>(shape, workspace)
        .backward(static_cast<const float*>(qkv), static_cast<const float*>(out), static_cast<const float*>(dout),
                  log_sum_exp, static_cast<float*>(dqkv));
  } else {
    Attention<Bf16>(shape, workspace)
        .backward(static_cast<const Bf16*>(qkv), static_cast<const Bf16*>(out), static_cast<const Bf16*>(dout),
                  log_sum_exp, static_cast<Bf16*>(dqkv));
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(attention_forward_any);
HWY_EXPORT(attention_backward_any);

int64_t attention_workspace_bytes(const AttentionShape& shape, Dtype dtype) {
  return dtype == Dtype::kFloat32 ? AttentionBuffers<float>(shape, dtype, nullptr).bytes
                                  : AttentionBuffers<Bf16>(shape, dtype, nullptr).bytes;
}

void attention_forward(const AttentionShape& shape, Dtype dtype, const void* qkv, void* out, float* log_sum_exp,
                       void* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_forward_any)(shape, dtype, qkv, out, log_sum_exp, workspace);
}
void attention_backward(const AttentionShape& shape, Dtype dtype, const void* qkv, const void* out, const void* dout,
                        const float* log_sum_exp, void* dqkv, void* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_backward_any)(shape, dtype, qkv, out, dout, log_sum_exp, dqkv, workspace);
}

}  // namespace flywheel::kernels
#endif
