// One chunk of the recurrence; included once per Highway target. Chunks have up to 32 tokens. With g the sum of log
// decays since the chunk's start and r half of its total,
//   q^ = q e^(g-r), a^ = a e^(g'-r) (g' before the token), k^ = k e^(r-g), b^ = b e^(r-g), S^ = e^(r-g) S
// the recurrence loses its decay: S^_t = S^_{t-1} + b^ u_t + k^ v_t with u_t = a^ S^_{t-1}. A chunk is then a few dense
// products with [q^; a^] on the left and [k^; b^] on the right, and one triangular system (1 - tril(a^ b^ᵀ)) U =
// a^ S^ + tril(a^ k^ᵀ) V: the WY form of Yang et al. 2024. Exponents stay within +-30, because a chunk ends early where
// its decay would pass e^-60, and a single token's beyond that, which float32 cannot tell from none left, is taken for
// it: nothing overflows. r cancels, hence has no gradient.
#if defined(FLYWHEEL_KERNELS_RECURRENCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_RECURRENCE_INL_H_
#undef FLYWHEEL_KERNELS_RECURRENCE_INL_H_
#else
#define FLYWHEEL_KERNELS_RECURRENCE_INL_H_
#endif

#include <cmath>

#include "engine/kernels/cpu/recurrence_buffers.h"
#include "engine/kernels/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// out (rows, columns) = or += a · b; element (row, step) of a lies at a[row * a_row + step * a_step].
HWY_INLINE void product(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_stride, int64_t rows,
                        int64_t columns, int64_t steps, float* out, int64_t out_stride, bool add) {
  TileTask task{.a_row_stride = a_row,
                .a_step_stride = a_step,
                .b = b,
                .b_step_stride = b_stride,
                .steps = steps,
                .out_stride = out_stride,
                .add = add};
  for (int64_t row = 0; row < rows; row += kTileRows) {
    task.a = a + row * a_row;
    task.out = out + row * out_stride;
    tile<FloatTile>(task, std::min(kTileRows, rows - row), padded_columns(columns));
  }
}

inline void transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to, int64_t to_stride) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    int64_t column = 0;
    for (; column + 4 <= columns; column += 4) {
      transpose_4x4(reinterpret_cast<const uint32_t*>(from + row * stride + column), stride,
                    reinterpret_cast<uint32_t*>(to + column * to_stride + row), to_stride);
    }
    for (; column < columns; ++column) {
      for (int64_t i = 0; i < 4; ++i) to[column * to_stride + row + i] = from[(row + i) * stride + column];
    }
  }
  for (; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) to[column * to_stride + row] = from[row * stride + column];
  }
}

HWY_INLINE float total(Floats x) {
  return hn::GetLane(hn::SumOfLanes(kFloats, x));
}

template <typename T>
float unit_factor(const T* x, int64_t n) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t i = 0; i < n; i += kLanes) {
    const Floats part = load(x + i, n - i);
    sum = hn::MulAdd(part, part, sum);
  }
  return 1.0f / std::sqrt(total(sum) + kUnitEpsilon);
}

template <typename T>
struct RecurrentChunk {
  const RecurrenceShape& s;
  const RecurrenceInputs& in;
  RecurrenceBuffers w;
  const bool delta = s.delta != Delta::kNone;
  int64_t head = 0, first = 0, count = 0;  // the chunk: tokens first ... first + count - 1 of this head

  RecurrentChunk(const RecurrenceShape& shape, const RecurrenceInputs& inputs, void* workspace)
      : s(shape), in(inputs), w(shape, workspace) {}

  int64_t stack() const { return delta ? 2 * count : count; }
  int64_t state_elements() const { return s.key_dim * w.value_stride; }
  int64_t query_at() const { return s.shared_keys ? 0 : head * s.key_dim; }
  int64_t key_at() const { return s.key_heads() * s.key_dim + query_at(); }
  int64_t value_at() const { return s.value_at() + head * s.value_dim; }
  const T* row(int64_t i) const { return static_cast<const T*>(in.qkv) + (first + i) * s.qkv_width(); }
  const T* ab_row(int64_t i) const {
    return static_cast<const T*>(in.ab) + (first + i) * 2 * s.heads * s.key_dim + head * s.key_dim;
  }
  float beta(int64_t i) const { return in.beta ? in.beta[(first + i) * s.heads + head] : 1.0f; }
  // e^(g-r) and its inverse after `i` tokens of the chunk.
  Floats factor(int64_t i, int64_t c) const {
    return s.channel_decay ? load(w.factors + i * w.factor_stride + c) : hn::Set(kFloats, w.factors[i]);
  }
  Floats inverse(int64_t i, int64_t c) const {
    return s.channel_decay ? load(w.inverses + i * w.factor_stride + c) : hn::Set(kFloats, w.inverses[i]);
  }

  // Chooses count, at most `limit`, and fills factors and inverses.
  void begin_chunk(int64_t limit) {
    const int64_t channels = s.channel_decay ? s.key_dim : 1, stride = w.factor_stride;
    const auto floor = hn::Set(kFloats, -kMaxDecay), half = hn::Set(kFloats, 0.5f), one = hn::Set(kFloats, 1.0f);
    std::fill_n(w.factors, stride, 0.0f);
    for (count = 0; count < limit; ++count) {
      const float* decay = in.log_decay + (first + count) * s.decay_width() + head * channels;
      float* growth = w.factors + count * stride;
      Floats lowest = hn::Zero(kFloats);
      for (int64_t c = 0; c < channels; c += kLanes) {
        const auto sum = hn::Add(load(growth + c, stride - c), at_least(floor, load(decay + c, channels - c)));
        lowest = hn::Min(lowest, sum);
        store(sum, growth + stride + c, stride - c);
      }
      if (count > 0 && hn::GetLane(hn::MinOfLanes(kFloats, lowest)) < -kMaxDecay) break;
    }
    for (int64_t c = 0; c < channels; c += kLanes) {
      const auto middle = hn::Mul(half, load(w.factors + count * stride + c, stride - c));
      for (int64_t at = c; at <= count * stride + c; at += stride) {
        const auto factor = exp(hn::Sub(load(w.factors + at, stride - c), middle));
        store(factor, w.factors + at, stride - c);
        store(hn::Div(one, factor), w.inverses + at, stride - c);
      }
    }
  }

  // left, right (both ways) and the v half of values.
  void gather() {
    const int64_t n = s.key_dim, ks = w.key_stride;
    for (int64_t i = 0; i < count; ++i) {
      const T *q = row(i) + query_at(), *k = row(i) + key_at(), *v = row(i) + value_at();
      w.query_norms[i] = s.unit_keys ? unit_factor(q, n) : 1.0f;
      w.key_norms[i] = s.unit_keys ? unit_factor(k, n) : 1.0f;
      const auto q_scale = hn::Set(kFloats, w.query_norms[i] * s.query_scale);
      const auto k_scale = hn::Set(kFloats, w.key_norms[i]), b = hn::Set(kFloats, beta(i));
      for (int64_t c = 0; c < n; c += kLanes) {
        const auto key = hn::Mul(load(k + c, n - c), k_scale), scaled = hn::Mul(key, b);
        store(hn::Mul(hn::Mul(load(q + c, n - c), q_scale), factor(i + 1, c)), w.left + i * ks + c);
        store(hn::Mul(scaled, inverse(i + 1, c)), w.right + i * ks + c);
        if (s.delta == Delta::kBeta) {
          store(hn::Mul(key, factor(i, c)), w.left + (count + i) * ks + c);
          store(hn::Neg(hn::Mul(scaled, inverse(i, c))), w.right + (count + i) * ks + c);
        } else if (s.delta == Delta::kGiven) {
          const T *a_row = ab_row(i) + c, *b_row = a_row + int64_t{s.heads} * n;
          store(hn::Mul(load(a_row, n - c), factor(i, c)), w.left + (count + i) * ks + c);
          store(hn::Mul(load(b_row, n - c), inverse(i + 1, c)), w.right + (count + i) * ks + c);
        }
      }
      for (int64_t c = 0; c < s.value_dim; c += kLanes)
        store(load(v + c, s.value_dim - c), w.values + i * w.value_stride + c);
    }
    transpose(w.right, ks, stack(), n, w.right_transposed, w.stack_stride);
  }

  void scale_rows(float* matrix, int64_t i, bool inverted) const {
    const float* factors = (inverted ? w.inverses : w.factors) + i * w.factor_stride;
    for (int64_t c = 0; c < s.key_dim; ++c) {
      const auto f = hn::Set(kFloats, factors[s.channel_decay ? c : 0]);
      float* to = matrix + c * w.value_stride;
      for (int64_t v = 0; v < s.value_dim; v += kLanes) store(hn::Mul(load(to + v), f), to + v);
    }
  }

  // The stacked matrices' rows are two halves of `count`, or one; a product of halves is lower triangular: a token sees
  // itself through q, and only earlier ones through a. So rows in tiles of kTileRows stop at their diagonal block, in
  // which mask() clears what is above.
  int64_t tile_end(int64_t row) const { return std::min(count, row / kTileRows * kTileRows + kTileRows); }

  // matrix (M, M) = tril(a · b) for a (M, steps) and b (steps, M).
  void triangle(const float* a, int64_t a_stride, const float* b, int64_t steps, float* matrix) const {
    const int64_t ms = w.stack_stride;
    for (int64_t half = 0; half < stack(); half += count) {
      for (int64_t row = 0; row < count; row += kTileRows) {
        const int64_t at = half + row, rows = tile_end(row) - row;
        for (int64_t other = 0; other < stack(); other += count)
          product(a + at * a_stride, a_stride, 1, b + other, ms, rows, row + rows, steps, matrix + at * ms + other, ms,
                  false);
      }
    }
    for (int64_t i = 0; i < stack(); ++i) {
      const int64_t token = i % count, seen = i < count ? token + 1 : token, end = tile_end(token);
      for (int64_t other = 0; other < stack(); other += count)
        std::fill(matrix + i * ms + other + seen, matrix + i * ms + other + end, 0.0f);
    }
  }

  // out (rows first ..., columns) = or += tril(matrix) · b.
  void lower(const float* matrix, int64_t begin, int64_t end, const float* b, int64_t stride, int64_t columns,
             float* out, bool add) const {
    for (int64_t half = begin; half < end; half += count) {
      for (int64_t row = 0; row < count; row += kTileRows) {
        const int64_t at = half + row, seen = tile_end(row);
        for (int64_t other = 0; other < stack(); other += count)
          product(matrix + at * w.stack_stride + other, w.stack_stride, 1, b + other * stride, stride, seen - row,
                  columns, seen, out + at * stride, stride, add || other > 0);
      }
    }
  }

  // out (M, columns) = tril(matrix)ᵀ · b.
  void lower_transposed(const float* matrix, const float* b, int64_t stride, int64_t columns, float* out) const {
    for (int64_t other = 0; other < stack(); other += count) {
      for (int64_t row = 0; row < count; row += kTileRows) {
        for (int64_t half = 0; half < stack(); half += count)
          product(matrix + (half + row) * w.stack_stride + other + row, 1, w.stack_stride, b + (half + row) * stride,
                  stride, tile_end(row) - row, columns, count - row, out + (other + row) * stride, stride, half > 0);
      }
    }
  }

  // The u half of values.
  void solve() {
    const int64_t vs = w.value_stride, ms = w.stack_stride;
    const float* a = w.scores + count * ms;  // rows of a^: against k^, then b^
    float *rest = w.products + count * vs, *u = w.values + count * vs;
    for (int64_t row = 0; row < count; row += kTileRows)
      product(a + row * ms, ms, 1, w.values, vs, tile_end(row) - row, s.value_dim, tile_end(row), rest + row * vs, vs,
              true);
    for (int64_t block = 0; block < count; block += kTileRows) {
      const int64_t end = std::min(count, block + kTileRows);
      if (block > 0)
        product(a + block * ms + count, ms, 1, u, vs, end - block, s.value_dim, block, rest + block * vs, vs, true);
      for (int64_t i = block; i < end; ++i) {
        for (int64_t v = 0; v < s.value_dim; v += kLanes) {
          Floats sum = load(rest + i * vs + v);
          for (int64_t j = block; j < i; ++j)
            sum = hn::MulAdd(hn::Set(kFloats, a[i * ms + count + j]), load(u + j * vs + v), sum);
          store(sum, u + i * vs + v);
        }
      }
    }
  }

  // Everything forward and backward share: gathered, scores, values with u, and the state at the chunk's start.
  void prepare(bool outputs) {
    gather();
    scale_rows(w.state, 0, true);
    triangle(w.left, w.key_stride, w.right_transposed, s.key_dim, w.scores);
    const int64_t skipped = outputs ? 0 : count;
    product(w.left + skipped * w.key_stride, w.key_stride, 1, w.state, w.value_stride, stack() - skipped, s.value_dim,
            s.key_dim, w.products + skipped * w.value_stride, w.value_stride, false);
    if (delta) solve();
  }

  void advance() {
    product(w.right_transposed, w.stack_stride, 1, w.values, w.value_stride, s.key_dim, s.value_dim, stack(), w.state,
            w.value_stride, true);
    scale_rows(w.state, count, false);
  }
};

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
