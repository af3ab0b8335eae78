// Backward of attention_forward.cc: the probabilities of a strip are computed again from the log-sums of forward.
#include <cmath>
#include <optional>

#include "engine/kernels/attention.h"
#include "engine/kernels/cpu/attention_workspace.h"
#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/attention_backward.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
inline float Attention<T>::dot_row(const T* a, const T* b) const {
  Floats sum = hn::Zero(kFloats);
  for (int64_t i = 0; i < s.head_dim; i += kLanes) {
    sum = hn::MulAdd(load(a + i, s.head_dim - i), load(b + i, s.head_dim - i), sum);
  }
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

// Scores become probabilities, and dprobabilities dscores: float32 in place, and bfloat16 on the matrix unit, a row at
// half its length; else bfloat16 in pairs of rows (the second of the last pair zero when beyond the strip), dscores
// also in rows.
template <typename T>
template <bool kBent, int kRows>
inline void Attention<T>::softmax_backward(const BackwardRow* strip, Rows g, int64_t first_row) const {
  const AttentionBuffers<T> to = w;  // here, as in softmax
  const bool in_place = on_unit;
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
      } else if (in_place) {
        store(a.p, reinterpret_cast<T*>(to.scores) + 2 * at + i);
        store(a.d, reinterpret_cast<T*>(to.dscores) + 2 * at + i);
        if (r + 1 == kRows) continue;
        const Weights b = weights(r + 1);
        store(b.p, reinterpret_cast<T*>(to.scores) + 2 * (at + stride) + i);
        store(b.d, reinterpret_cast<T*>(to.dscores) + 2 * (at + stride) + i);
      } else {
        const Weights b = r + 1 < kRows ? weights(r + 1) : Weights{hn::Zero(kFloats), hn::Zero(kFloats)};
        const RoundedRows rows{to.left_rows + at + i, to.left_rows + at + stride + i};
        store_rounded_pairs(a.p, b.p, to.pairs + at + 2 * i);
        store_rounded_pairs(a.d, b.d, to.dpairs + at + 2 * i, &rows);
      }
    }
  }
}

template <typename T>
template <bool kBent>
inline void Attention<T>::softmax_backward_strip(const BackwardRow* strip, int head, int64_t q0, int64_t rows) const {
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

template <typename T>
inline void Attention<T>::backward(const T* qkv, const T* out, const T* dout, const float* log_sum_exp, T* dqkv,
                                   float* dsinks) const {
  BackwardRow strip[kStripRows];
  const int64_t group = s.heads / s.kv_heads;
  const bool in_place = kPair == 1 || on_unit;
  const T* dscore_rows = in_place ? reinterpret_cast<T*>(w.dscores) : w.left_rows;
  T* pairs = in_place ? reinterpret_cast<T*>(w.scores) : w.pairs;
  T* dpairs = in_place ? reinterpret_cast<T*>(w.dscores) : w.dpairs;
  std::optional<MatrixUnit> unit;
  if (on_unit) unit.emplace(panel_depth(s.head_dim, kDtype));
  for (int head = 0; head < s.heads; ++head) {
    float sink_gradient = 0;
    const int64_t query_at = head * s.head_dim, key_at = (s.heads + head / group) * s.head_dim;
    const int64_t value_at = key_at + s.kv_heads * s.head_dim;
    if (head % group == 0) {
      pack_transposed(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
      pack_transposed(qkv + value_at, s.qkv_stride, s.tokens, s.head_dim, w.values_transposed);
      pack_rows(qkv + key_at, s.qkv_stride, s.tokens, s.head_dim, w.key_rows, depth_of_rows());
    }
    pack_rows(qkv + query_at, s.qkv_stride, s.tokens, s.head_dim, w.query_rows, depth_of_rows());
    pack_rows(dout + query_at, s.out_stride, s.tokens, s.head_dim, w.dout_rows, depth_of_rows());
    for (int64_t q0 = 0; q0 < s.tokens; q0 += strip_rows) {
      const int64_t rows = std::min(strip_rows, s.tokens - q0);
      const T* dout_strip = dout + q0 * s.out_stride + query_at;
      score_strip(qkv + q0 * s.qkv_stride + query_at, s.qkv_stride, w.keys_transposed, q0, rows, w.scores,
                  w.query_edge);
      score_strip(dout_strip, s.out_stride, w.values_transposed, q0, rows, w.dscores, w.dout_edge);
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

HWY_EXPORT(attention_backward_any);

void attention_backward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, const void* out,
                        const void* dout, const float* log_sum_exp, void* dqkv, float* dsinks, void* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_backward_any)(shape, dtype, qkv, out, dout, log_sum_exp, dqkv, dsinks, workspace);
}

}  // namespace flywheel::kernels
#endif
