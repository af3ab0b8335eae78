// What forward and backward of attention share: strips of scores and products on register tiles. Included once per
// Highway target.
#if defined(FLYWHEEL_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_ATTENTION_INL_H_
#undef FLYWHEEL_KERNELS_ATTENTION_INL_H_
#else
#define FLYWHEEL_KERNELS_ATTENTION_INL_H_
#endif

#include "engine/kernels/attention.h"
#include "engine/kernels/cpu/attention_workspace.h"
#include "engine/kernels/cpu/tile-inl.h"

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

  void store_row(const float* from, float factor, T* to) const {
    for (int64_t i = 0; i < s.head_dim; i += kLanes) {
      store(hn::Mul(load(from + i), hn::Set(kFloats, factor)), to + i, s.head_dim - i);
    }
  }

  // Forward (attention_forward.cc).
  template <bool kBent, int kRows>
  void softmax(float* scores, T* probabilities, Rows g, const float* sink, float* maxima, float* totals) const;
  template <bool kBent>
  void softmax_strip(int head, int64_t q0, int64_t rows, const float* sink, float* maxima, float* totals) const;
  void log_sums(const float* maxima, const float* totals, int64_t rows, float* log_sum_exp) const;
  void forward(const T* qkv, T* out, float* log_sum_exp) const;

  // Backward (attention_backward.cc).
  // Of one row in backward: `log_sum_exp` of forward, and the row's dout · out.
  struct BackwardRow {
    float log_sum_exp, dot;
  };
  struct Weights {
    Floats p, d;  // probabilities, and the gradients of their raw scores
  };
  float dot_row(const T* a, const T* b) const;
  template <bool kBent, int kRows>
  void softmax_backward(const BackwardRow* strip, Rows g, int64_t first_row) const;
  template <bool kBent>
  void softmax_backward_strip(const BackwardRow* strip, int head, int64_t q0, int64_t rows) const;
  void backward(const T* qkv, const T* out, const T* dout, const float* log_sum_exp, T* dqkv, float* dsinks) const;
};

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
