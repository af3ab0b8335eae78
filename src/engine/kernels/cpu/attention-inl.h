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
#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/tile-inl.h"
#include "engine/kernels/cpu/unit_tiles-inl.h"

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
  // On the matrix unit strips have 32 rows, which see the same groups of 32 keys; bfloat16 takes the place of the
  // scores it is made from, at twice the stride.
  bool on_unit = HWY_TARGET == HWY_AVX3 && kPair == 2 && s.tokens >= kUnitBlock && machine_has_matrix_unit();
  int64_t strip_rows = on_unit ? kUnitBlock : kStripRows;

  Attention(const AttentionShape& shape, void* workspace) : s(shape), w(shape, kDtype, workspace) {}

  // Where the softmax puts its result. On the unit a row's bfloat16 overwrites its own scores: what is written of a
  // vector ends before what is read of the next one begins.
  T* probabilities() const { return kPair == 1 || on_unit ? reinterpret_cast<T*>(w.scores) : w.left_rows; }
  // To which packed rows are filled up with zeros.
  int64_t depth_of_rows() const { return on_unit ? unit_depth(s.tokens) : 0; }
  bool bent() const { return s.softcap > 0 || s.alibi; }

  // Columns (keys) that tiles may read of a row of the strip: those that its group of rows sees, outwards to whole
  // vectors, and to whole groups of keys on the left.
  struct Columns {
    int64_t begin, end;
  };
  Columns row_columns(int64_t q0, int64_t row, int64_t rows) const {
    if (on_unit) return {first_seen(q0, s.window) / kUnitDepth * kUnitDepth, unit_depth(q0 + rows)};
    const int64_t group = row / kTileRows * kTileRows;
    const int64_t first = first_seen(q0 + group, s.window) / kTileRows * kTileRows;
    return {first / kColumnMultiple * kColumnMultiple, padded_columns(q0 + std::min(group + kTileRows, rows))};
  }

  // scores (rows, keys) = left (rows, Dh) · transposed, for the strip that starts at query q0.
  void score_strip(const T* left, int64_t left_stride, const T* transposed, int64_t q0, int64_t rows, float* scores,
                   T* edge) const {
    if (on_unit) {
      left = strip_of(left, left_stride, rows, edge);
      return unit_scores(left, left_stride, transposed, q0, rows, scores);
    }
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
    if (on_unit) return unit_times_rows(left, packed, q0, rows);
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
  void add_transposed(T* left, const T* packed, int64_t q0, int64_t rows, bool fresh, float* sums) const {
    if (on_unit) return unit_add_transposed(left, packed, q0, rows, fresh, sums);
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

  // The same on the matrix unit. Rows of `left` beyond the strip are of no sequence: they are read from `edge`, zeros.
  const T* strip_of(const T* rows, int64_t& stride, int64_t count, T* edge) const;
  void unit_scores(const T* left, int64_t left_stride, const T* transposed, int64_t q0, int64_t rows,
                   float* scores) const;
  void unit_times_rows(const T* left, const T* packed, int64_t q0, int64_t rows) const;
  void unit_add_transposed(T* left, const T* packed, int64_t q0, int64_t rows, bool fresh, float* sums) const;

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
  void softmax(float* scores, T* probabilities, int64_t out_stride, Rows g, const float* sink, float* maxima,
               float* totals) const;
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

template <typename T>
const T* Attention<T>::strip_of(const T* rows, int64_t& stride, int64_t count, T* edge) const {
  if (count == kUnitBlock && s.head_dim % 2 == 0) return rows;
  const int64_t depth = panel_depth(s.head_dim, kDtype);
  std::memset(static_cast<void*>(edge), 0, static_cast<size_t>(kUnitBlock * depth) * sizeof(T));
  for (int64_t row = 0; row < count; ++row)
    std::memcpy(static_cast<void*>(edge + row * depth), rows + row * stride,
                static_cast<size_t>(s.head_dim) * sizeof(T));
  stride = depth;
  return edge;
}

template <typename T>
void Attention<T>::unit_scores(const T* left, int64_t left_stride, const T* transposed, int64_t q0, int64_t rows,
                               float* scores) const {
  const int64_t depth = panel_depth(s.head_dim, kDtype);
  UnitTask task{.a = left,
                .a_stride = 2 * left_stride,
                .steps = depth / kUnitDepth,
                .tail = depth % kUnitDepth != 0,
                .out_stride = 4 * ld};
  const Columns columns = row_columns(q0, 0, rows);
  const int64_t end = std::min(columns.end, padded_columns(s.tokens));
  for (int64_t column = columns.begin; column < end; column += 2 * kUnitColumns) {
    const int64_t start = column / kPanelColumns * kPanelColumns;
    task.b = transposed + start * depth + (column - start) * kPair;
    task.b_stride = 4 * panel_width(start, s.tokens);
    task.out = scores + column;
    unit_product(task, 2, end - column > kUnitColumns ? 2 : 1);
  }
}

template <typename T>
void Attention<T>::unit_times_rows(const T* left, const T* packed, int64_t q0, int64_t rows) const {
  const Columns columns = row_columns(q0, 0, rows);
  UnitTask task{.a = left + columns.begin,
                .a_stride = 4 * ld,
                .steps = (columns.end - columns.begin) / kUnitDepth,
                .out_stride = 4 * width};
  for (int64_t start = 0; start < width; start += kPanelColumns) {
    const int64_t across = panel_width(start, s.head_dim);
    task.b = packed + start * unit_depth(s.tokens) + columns.begin * across;
    task.b_stride = 4 * across;
    task.out = w.out + start;
    unit_columns(task, across);
  }
}

template <typename T>
void Attention<T>::unit_add_transposed(T* left, const T* packed, int64_t q0, int64_t rows, bool fresh,
                                       float* sums) const {
  const Columns columns = row_columns(q0, 0, rows);
  for (int64_t row = rows; row < kUnitBlock; ++row) {
    std::memset(static_cast<void*>(left + row * 2 * ld + columns.begin), 0,
                static_cast<size_t>(columns.end - columns.begin) * sizeof(T));
  }
  for (int64_t key = columns.begin; key < columns.end; key += kUnitColumns) {
    if constexpr (kPair == 2) transpose_tile(left + key, 2 * ld, w.pairs + key * kUnitDepth);
  }
  UnitTask task{.a_stride = 64, .a_block = 1024, .steps = 1, .out_stride = 4 * width};
  for (int64_t start = 0; start < width; start += kPanelColumns) {
    const int64_t across = panel_width(start, s.head_dim);
    task.b = packed + start * unit_depth(s.tokens) + q0 * across;
    task.b_stride = 4 * across;
    for (int64_t key = columns.begin; key < columns.end; key += kUnitBlock) {
      task.a = w.pairs + key * kUnitDepth;
      task.add = !fresh || key < q0;
      task.out = sums + key * width + start;
      unit_columns(task, across);
    }
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
