// A strip of 48 queries at a time against all keys before them: scores, softmax and products on register tiles, in a
// workspace that grows with T, not T². Tiles wholly above the diagonal or before the window are never computed; at the
// band's edges tiles begin and end with their rows. Query blocks and key blocks both start at multiples of 6, so what a
// tile reads of a strip has always been written.
#include "engine/kernels/attention.h"

#include <cmath>

#include "engine/kernels/element.h"
#include "engine/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/tile-inl.h"

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

  AttentionBuffers(const AttentionShape& s, tensor::Dtype dtype, void* workspace) {
    WorkspaceCursor cursor{workspace ? reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(workspace) + 63) / 64 * 64)
                                     : nullptr};
    const int64_t transposed = panel_depth(s.head_dim, dtype) * padded_columns(s.tokens);
    const int64_t width = padded_columns(s.head_dim), rows = panel_depth(s.tokens, dtype) * width;
    const int64_t strip = kStripRows * strip_stride(s.tokens);
    for (T** buffer : {&keys_transposed, &values_transposed}) *buffer = cursor.take<T>(transposed);
    for (T** buffer : {&key_rows, &value_rows, &query_rows, &dout_rows}) *buffer = cursor.take<T>(rows);
    for (float** buffer : {&scores, &dscores}) *buffer = cursor.take<float>(strip);
    for (T** buffer : {&left_rows, &pairs, &dpairs})
      *buffer = cursor.take<T>(dtype == tensor::Dtype::kBfloat16 ? strip : 0);
    out = cursor.take<float>(kStripRows * width);
    for (float** buffer : {&dkeys, &dvalues}) *buffer = cursor.take<float>(s.tokens * width);
    bytes = cursor.used + 64;
  }
};

}  // namespace flywheel::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// tanh with a relative error below 4e-7: near zero the odd series, where the exponential's form would lose digits.
HWY_INLINE Floats tanh_exact(Floats x) {
  const auto one = hn::Set(kFloats, 1.0f), two = hn::Set(kFloats, 2.0f), square = hn::Mul(x, x);
  const auto far = hn::Sub(one, hn::Div(two, hn::Add(one, exp(hn::Mul(x, two)))));
  auto p = hn::MulAdd(square, hn::Set(kFloats, 62.0f / 2835), hn::Set(kFloats, -17.0f / 315));
  p = hn::MulAdd(p, square, hn::Set(kFloats, 2.0f / 15));
  p = hn::MulAdd(p, square, hn::Set(kFloats, -1.0f / 3));
  const auto near = hn::MulAdd(hn::Mul(p, square), x, x);
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(kFloats, 0.3f)), near, far);
}

// Natural logarithm of normal numbers above zero; NaN stays NaN. x is 2^n m, m in [2/3, 4/3), log m = 2 atanh z by its
// series: relative error below 3e-7.
HWY_INLINE Floats log(Floats x) {
  const auto bits = hn::BitCast(kInts, x);
  const auto n = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(kInts, 0x3f2aaaab)));  // 2/3
  const auto m = hn::BitCast(kFloats, hn::Sub(bits, hn::ShiftLeft<23>(n)));
  const auto one = hn::Set(kFloats, 1.0f), z = hn::Div(hn::Sub(m, one), hn::Add(m, one)), square = hn::Mul(z, z);
  auto p = hn::MulAdd(square, hn::Set(kFloats, 2.0f / 9), hn::Set(kFloats, 2.0f / 7));
  p = hn::MulAdd(p, square, hn::Set(kFloats, 2.0f / 5));
  p = hn::MulAdd(p, square, hn::Set(kFloats, 2.0f / 3));
  p = hn::MulAdd(p, square, hn::Set(kFloats, 2.0f));
  const auto result = hn::MulAdd(hn::ConvertTo(kFloats, n), hn::Set(kFloats, 0.693147181f), hn::Mul(p, z));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

// e^x, x about 0 at most, is exp_of_units(x kExponentUnit): in bfloat16 by powers of two, whose factor goes into a
// scale that x has anyway.
template <typename T>
inline constexpr float kExponentUnit = std::is_same_v<T, float> ? 1.0f : kLog2E;
template <typename T>
HWY_INLINE Floats exp_of_units(Floats x) {
  if constexpr (std::is_same_v<T, float>) return exp(x);
  return short_exp2(x);
}

template <typename T>
struct Attention {
  static constexpr tensor::Dtype kDtype = sizeof(T) == 4 ? tensor::Dtype::kFloat32 : tensor::Dtype::kBfloat16;
  static constexpr int64_t kPair = 4 / sizeof(T);

  const AttentionShape& s;
  AttentionBuffers<T> w;
  TileFunction tile_function = tile_for(kDtype);
  int64_t ld = strip_stride(s.tokens), width = padded_columns(s.head_dim);

  Attention(const AttentionShape& shape, void* workspace) : s(shape), w(shape, kDtype, workspace) {}

  bool bent() const { return s.softcap > 0 || s.alibi; }

  // Columns (keys) that tiles may read of a row of the strip: those that its group of rows sees, outwards to whole
  // vectors, and to whole groups of keys on the left.
  struct Columns {
    int64_t begin, end;
  };
  Columns row_columns(int64_t q0, int64_t row, int64_t rows) const {
    const int64_t group = row / kTileRows * kTileRows;
    const int64_t first = first_seen(q0 + group, s.window) / kTileRows * kTileRows;
    return {first / kColumnMultiple * kColumnMultiple, padded_columns(q0 + std::min(group + kTileRows, rows))};
  }

  // scores (rows, keys) = left (rows, Dh) · transposed, for the strip that starts at query q0.
  void score_strip(const T* left, int64_t left_stride, const T* transposed, int64_t q0, int64_t rows,
                   float* scores) const {
    const int64_t depth = panel_depth(s.head_dim, kDtype);
    TileTask task{.a_row_stride = left_stride,
                  .a_step_stride = kPair,
                  .steps = s.head_dim / kPair,
                  .half_step = s.head_dim % kPair != 0,
                  .out_stride = ld};
    const int64_t first_panel = row_columns(q0, 0, rows).begin / kPanelColumns * kPanelColumns;
    for (int64_t start = first_panel; start < q0 + rows; start += kPanelColumns) {
      task.b_step_stride = panel_width(start, s.tokens) * kPair;
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const Columns columns = row_columns(q0, row, rows);
        const int64_t from = std::max(start, columns.begin), to = std::min(start + kPanelColumns, columns.end);
        if (from >= to) continue;
        task.a = left + row * left_stride;
        task.b = transposed + start * depth + (from - start) * kPair;
        task.out = scores + row * ld + from;
        tile_function(task, std::min(kTileRows, rows - row), to - from);
      }
    }
  }

  // out (rows, Dh) = left (rows, keys) · packed rows, over the keys that each group of rows sees.
  void times_rows(const T* left, const T* packed, int64_t q0, int64_t rows) const {
    const int64_t depth = panel_depth(s.tokens, kDtype);
    TileTask task{.a_row_stride = ld, .a_step_stride = kPair, .out_stride = width};
    for (int64_t start = 0; start < width; start += kPanelColumns) {
      const int64_t columns = panel_width(start, s.head_dim);
      task.b_step_stride = columns * kPair;
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t count = std::min(kTileRows, rows - row), begin = row_columns(q0, row, rows).begin;
        task.a = left + row * ld + begin;
        task.b = packed + start * depth + begin * columns;
        task.steps = (q0 + row + count - begin + kPair - 1) / kPair;
        task.out = w.out + row * width + start;
        tile_function(task, count, columns);
      }
    }
  }

  // sums (T, Dh) += leftᵀ · packed rows of the strip; left (strip, T), in pairs of rows for bfloat16. `fresh`: the
  // strip's own keys have no sums yet.
  void add_transposed(const T* left, const T* packed, int64_t q0, int64_t rows, bool fresh, float* sums) const {
    const int64_t depth = panel_depth(s.tokens, kDtype);
    TileTask task{.a_row_stride = kPair, .a_step_stride = ld * kPair, .out_stride = width};
    for (int64_t start = 0; start < width; start += kPanelColumns) {
      const int64_t columns = panel_width(start, s.head_dim);
      task.b_step_stride = columns * kPair;
      for (int64_t key = first_seen(q0, s.window) / kTileRows * kTileRows; key < q0 + rows; key += kTileRows) {
        // Queries before `key` do not see it, nor do those a window beyond.
        const int64_t first = std::max<int64_t>(0, key - q0) / kPair;
        const int64_t last = s.window > 0 ? std::min(rows, key + kTileRows - 1 + s.window - q0) : rows;
        task.a = left + (first * ld + key) * kPair;
        task.b = packed + start * depth + (q0 / kPair + first) * columns * kPair;
        task.steps = (last + kPair - 1) / kPair - first;
        task.out = sums + key * width + start;
        task.add = !fresh || key < q0;
        tile_function(task, std::min(kTileRows, q0 + rows - key), columns);
      }
    }
  }

  // Rows of a strip that go through the softmax together, so that loops this short end less often: those of a group,
  // or what is left over. The row at `position` + r sees the keys [first(r), keys(r)).
  struct Rows {
    int64_t position, window;
    Columns columns;  // what tiles will read: zero where not seen
    float slope;      // ALiBi
    int64_t first(int64_t r) const { return first_seen(position + r, window); }
    int64_t keys(int64_t r) const { return position + r + 1; }
    bool all_see(int64_t rows, int64_t i) const { return i >= first(rows - 1) && i + kLanes <= keys(0); }
  };
  Rows rows_of(int head, int64_t q0, int64_t row, int64_t rows) const {
    return {q0 + row, s.window, row_columns(q0, row, rows), s.alibi ? alibi_slope(head, s.heads) : 0.0f};
  }
  static auto seen(const Rows& g, int64_t r, int64_t i) {
    const auto before = [&](int64_t end) {
      return hn::FirstN(kFloats, static_cast<size_t>(std::clamp<int64_t>(end - i, 0, kLanes)));
    };
    return hn::AndNot(before(g.first(r)), before(g.keys(r)));
  }

  // Soft-cap and ALiBi of row r's scaled scores of the keys from i on. `slope` becomes the derivative.
  Floats bend(Floats x, const Rows& g, int64_t r, int64_t i, Floats& slope) const {
    slope = hn::Set(kFloats, 1.0f);
    if (s.softcap > 0) {
      const auto t = tanh_exact(hn::Mul(x, hn::Set(kFloats, 1 / s.softcap)));
      slope = hn::NegMulAdd(t, t, slope);
      x = hn::Mul(t, hn::Set(kFloats, s.softcap));
    }
    const auto distance = hn::Iota(kFloats, static_cast<float>(i - (g.keys(r) - 1)));
    return hn::MulAdd(hn::Set(kFloats, g.slope), distance, x);
  }

  // Scores become exp(score - max), zero where nothing is seen. The maximum is subtracted even where nothing could
  // overflow: it makes the largest weight 1, exact in bfloat16.
  template <bool kBent, int kRows>
  void softmax(float* scores, T* probabilities, Rows g, const float* sink, float* maxima, float* totals) const {
    const int64_t stride = ld;  // here, since what is stored might be a member as far as the compiler knows
    const auto none = hn::Set(kFloats, -INFINITY), scale = hn::Set(kFloats, s.scale);
    Floats largest[kRows], sum[kRows];
    for (int r = 0; r < kRows; ++r) largest[r] = none;
    for (int64_t i = g.columns.begin; i < g.columns.end; i += kLanes) {
      const bool whole = g.all_see(kRows, i);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        Floats x = load(scores + r * stride + i);
        if constexpr (kBent) {
          Floats slope;
          x = bend(hn::Mul(x, scale), g, r, i, slope);
          store(x, scores + r * stride + i);
        }
        if (!whole) x = hn::IfThenElse(seen(g, r, i), x, none);
        largest[r] = hn::Max(x, largest[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      largest[r] = hn::MaxOfLanes(kFloats, largest[r]);
      if constexpr (!kBent) largest[r] = hn::Mul(largest[r], scale);
      if (sink) largest[r] = hn::Max(largest[r], hn::Set(kFloats, *sink));
      maxima[r] = hn::GetLane(largest[r]);
      sum[r] = hn::Zero(kFloats);
    }
    const auto unit = hn::Set(kFloats, kBent ? kExponentUnit<T> : kExponentUnit<T> * s.scale);
    for (int r = 0; r < kRows; ++r) largest[r] = hn::Mul(largest[r], hn::Set(kFloats, kExponentUnit<T>));
    for (int64_t i = g.columns.begin; i < g.columns.end; i += kLanes) {
      const bool whole = g.all_see(kRows, i);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        Floats p = exp_of_units<T>(hn::MulSub(load(scores + r * stride + i), unit, largest[r]));
        if (!whole) p = hn::IfThenElseZero(seen(g, r, i), p);
        sum[r] = hn::Add(sum[r], p);
        store(p, probabilities + r * stride + i);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      totals[r] = hn::GetLane(hn::SumOfLanes(kFloats, sum[r]));
      if (sink) totals[r] += std::exp(*sink - maxima[r]);
    }
  }
  template <bool kBent>
  void softmax_strip(int head, int64_t q0, int64_t rows, const float* sink, float* maxima, float* totals) const {
    T* const probabilities = kPair == 1 ? reinterpret_cast<T*>(w.scores) : w.left_rows;
    for (int64_t row = 0; row < rows;) {
      const Rows g = rows_of(head, q0, row, rows);
      const bool whole = row + kTileRows <= rows;
      (this->*(whole ? &Attention::softmax<kBent, kTileRows> : &Attention::softmax<kBent, 1>))(
          w.scores + row * ld, probabilities + row * ld, g, sink, maxima + row, totals + row);
      row += whole ? kTileRows : 1;
    }
  }

  // Of a whole strip at once; in bfloat16 by vectors, since a logarithm per row was a tenth of the time at a head_dim
  // of 16.
  void log_sums(const float* maxima, const float* totals, int64_t rows, float* log_sum_exp) const {
    if constexpr (kPair == 1) {
      for (int64_t row = 0; row < rows; ++row) log_sum_exp[row] = maxima[row] + std::log(totals[row]);
    } else {
      for (int64_t row = 0; row < rows; row += kLanes) {
        const int64_t count = rows - row;
        store(hn::Add(load(maxima + row, count), log(load(totals + row, count))), log_sum_exp + row, count);
      }
    }
  }

  void store_row(const float* from, float factor, T* to) const {
    for (int64_t i = 0; i < s.head_dim; i += kLanes) {
      store(hn::Mul(load(from + i), hn::Set(kFloats, factor)), to + i, s.head_dim - i);
    }
  }

  void forward(const T* qkv, T* out, float* log_sum_exp) const {
    const bool bent = this->bent();
    const T* probabilities = kPair == 1 ? reinterpret_cast<T*>(w.scores) : w.left_rows;
    float maxima[kStripRows], totals[kStripRows];
    for (int head = 0; head < s.heads; ++head) {
      const float* sink = s.sinks ? s.sinks + head : nullptr;
      const T* query = qkv + head * s.head_dim;
      if (head % (s.heads / s.kv_heads) == 0) {
        const T* key = qkv + (s.heads + head / (s.heads / s.kv_heads)) * s.head_dim;
        pack_transposed(key, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
        pack_rows(key + s.kv_heads * s.head_dim, s.qkv_stride, s.tokens, s.head_dim, w.value_rows);
      }
      for (int64_t q0 = 0; q0 < s.tokens; q0 += kStripRows) {
        const int64_t rows = std::min(kStripRows, s.tokens - q0);
        score_strip(query + q0 * s.qkv_stride, s.qkv_stride, w.keys_transposed, q0, rows, w.scores);
        bent ? softmax_strip<true>(head, q0, rows, sink, maxima, totals)
             : softmax_strip<false>(head, q0, rows, sink, maxima, totals);
        log_sums(maxima, totals, rows, log_sum_exp + head * s.tokens + q0);
        times_rows(probabilities, w.value_rows, q0, rows);
        for (int64_t row = 0; row < rows; ++row) {
          store_row(w.out + row * width, 1.0f / totals[row], out + (q0 + row) * s.out_stride + head * s.head_dim);
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

  // Of one row in backward: `log_sum_exp` of forward, and the row's dout · out.
  struct BackwardRow {
    float log_sum_exp, dot;
  };
  struct Weights {
    Floats p, d;  // probabilities, and the gradients of their raw scores
  };

  // Scores become probabilities, and dprobabilities dscores: float32 in place; bfloat16 in pairs of rows (the second of
  // the last pair zero when beyond the strip), dscores also in rows.
  template <bool kBent, int kRows>
  void softmax_backward(const BackwardRow* strip, Rows g, int64_t first_row) const {
    const AttentionBuffers<T> to = w;  // here, as in softmax
    const int64_t stride = ld, first = first_row * stride;
    const auto scale = hn::Set(kFloats, s.scale);
    const auto unit = hn::Set(kFloats, kBent ? kExponentUnit<T> : kExponentUnit<T> * s.scale);
    Floats log_sums[kRows], dots[kRows];
    for (int r = 0; r < kRows; ++r) {
      log_sums[r] = hn::Set(kFloats, strip[first_row + r].log_sum_exp * kExponentUnit<T>);
      dots[r] = hn::Set(kFloats, strip[first_row + r].dot);
    }
    for (int64_t i = g.columns.begin; i < g.columns.end; i += kLanes) {
      const bool whole = g.all_see(kRows, i);
      const auto weights = [&](int r) HWY_ATTR {
        const int64_t at = first + r * stride + i;
        Floats score = load(to.scores + at), factor = scale;
        if constexpr (kBent) {
          Floats slope;
          score = bend(hn::Mul(score, scale), g, r, i, slope);
          factor = hn::Mul(scale, slope);
        }
        const Floats p = exp_of_units<T>(hn::MulSub(score, unit, log_sums[r]));
        const Floats d = hn::Mul(hn::Mul(p, factor), hn::Sub(load(to.dscores + at), dots[r]));
        if (whole) return Weights{p, d};
        return Weights{hn::IfThenElseZero(seen(g, r, i), p), hn::IfThenElseZero(seen(g, r, i), d)};
      };
#pragma GCC unroll 6
      for (int r = 0; r < kRows; r += kPair) {
        const int64_t at = first + r * stride;
        const Weights a = weights(r);
        if constexpr (kPair == 1) {
          store(a.p, to.scores + at + i);
          store(a.d, to.dscores + at + i);
        } else {
          const Weights b = r + 1 < kRows ? weights(r + 1) : Weights{hn::Zero(kFloats), hn::Zero(kFloats)};
          const RoundedRows rows{to.left_rows + at + i, to.left_rows + at + stride + i};
          store_rounded_pairs(a.p, b.p, to.pairs + at + 2 * i);
          store_rounded_pairs(a.d, b.d, to.dpairs + at + 2 * i, &rows);
        }
      }
    }
  }
  template <bool kBent>
  void softmax_backward_strip(const BackwardRow* strip, int head, int64_t q0, int64_t rows) const {
    for (int64_t row = 0; row < rows;) {
      const Rows g = rows_of(head, q0, row, rows);
      if (row + kTileRows <= rows) {
        softmax_backward<kBent, kTileRows>(strip, g, row);
        row += kTileRows;
      } else if (row + kPair <= rows) {
        softmax_backward<kBent, kPair>(strip, g, row);
        row += kPair;
      } else {
        softmax_backward<kBent, 1>(strip, g, row++);
      }
    }
  }

  void backward(const T* qkv, const T* out, const T* dout, const float* log_sum_exp, T* dqkv, float* dsinks) const {
    BackwardRow strip[kStripRows];
    const int64_t group = s.heads / s.kv_heads;
    const T* dscore_rows = kPair == 1 ? reinterpret_cast<T*>(w.dscores) : w.left_rows;
    const T* pairs = kPair == 1 ? reinterpret_cast<T*>(w.scores) : w.pairs;
    const T* dpairs = kPair == 1 ? reinterpret_cast<T*>(w.dscores) : w.dpairs;
    for (int head = 0; head < s.heads; ++head) {
      float sink_gradient = 0;
      const int64_t query_at = head * s.head_dim, key_at = (s.heads + head / group) * s.head_dim;
      const int64_t value_at = key_at + s.kv_heads * s.head_dim;
      if (head % group == 0) {
        pack_transposed(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
        pack_transposed(qkv + value_at, s.qkv_stride, s.tokens, s.head_dim, w.values_transposed);
        pack_rows(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.key_rows);
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
          const float log_sum = log_sum_exp[head * s.tokens + q0 + row];
          strip[row] = {log_sum, dot};
          if (s.sinks) sink_gradient -= std::exp(s.sinks[head] - log_sum) * dot;
        }
        bent() ? softmax_backward_strip<true>(strip, head, q0, rows)
               : softmax_backward_strip<false>(strip, head, q0, rows);
        add_transposed(pairs, w.dout_rows, q0, rows, head % group == 0, w.dvalues);
        add_transposed(dpairs, w.query_rows, q0, rows, head % group == 0, w.dkeys);
        times_rows(dscore_rows, w.key_rows, q0, rows);
        for (int64_t row = 0; row < rows; ++row) {
          store_row(w.out + row * width, 1.0f, dqkv + (q0 + row) * s.qkv_stride + query_at);
        }
      }
      if (s.sinks) dsinks[head] += sink_gradient;
      if ((head + 1) % group != 0) continue;
      for (int64_t t = 0; t < s.tokens; ++t) {
        store_row(w.dkeys + t * width, 1.0f, dqkv + t * s.qkv_stride + key_at);
        store_row(w.dvalues + t * width, 1.0f, dqkv + t * s.qkv_stride + value_at);
      }
    }
  }
};

void attention_forward_any(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* out,
                           float* log_sum_exp, void* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    Attention<float>(shape, workspace).forward(static_cast<const float*>(qkv), static_cast<float*>(out), log_sum_exp);
  } else {
    Attention<tensor::Bf16>(shape, workspace)
        .forward(static_cast<const tensor::Bf16*>(qkv), static_cast<tensor::Bf16*>(out), log_sum_exp);
  }
}

void attention_backward_any(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, const void* out,
                            const void* dout, const float* log_sum_exp, void* dqkv, float* dsinks, void* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    Attention<float>(shape, workspace)
        .backward(static_cast<const float*>(qkv), static_cast<const float*>(out), static_cast<const float*>(dout),
                  log_sum_exp, static_cast<float*>(dqkv), dsinks);
  } else {
    Attention<tensor::Bf16>(shape, workspace)
        .backward(static_cast<const tensor::Bf16*>(qkv), static_cast<const tensor::Bf16*>(out),
                  static_cast<const tensor::Bf16*>(dout), log_sum_exp, static_cast<tensor::Bf16*>(dqkv), dsinks);
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(attention_forward_any);
HWY_EXPORT(attention_backward_any);

float alibi_slope(int head, int heads) {
  int power = 1;  // of two, at most heads
  while (2 * power <= heads) power *= 2;
  const double exponent = head < power ? (head + 1.0) / power : (2.0 * (head - power) + 1) / (2 * power);
  return static_cast<float>(std::exp2(-8 * exponent));
}

int64_t attention_workspace_bytes(const AttentionShape& shape, tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kFloat32 ? AttentionBuffers<float>(shape, dtype, nullptr).bytes
                                          : AttentionBuffers<tensor::Bf16>(shape, dtype, nullptr).bytes;
}

void attention_forward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* out, float* log_sum_exp,
                       void* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_forward_any)(shape, dtype, qkv, out, log_sum_exp, workspace);
}
void attention_backward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, const void* out,
                        const void* dout, const float* log_sum_exp, void* dqkv, float* dsinks, void* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_backward_any)(shape, dtype, qkv, out, dout, log_sum_exp, dqkv, dsinks, workspace);
}

}  // namespace flywheel::kernels
#endif
