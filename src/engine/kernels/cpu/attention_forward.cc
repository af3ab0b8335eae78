// On vectors. The matrix unit has strips of 32 queries and groups of 32 keys: what a product reads beyond the strip's
// rows becomes rows that nobody reads, and what the softmax reads beyond the scores written is masked.
//
// A strip of 48 queries at a time against all keys before them: scores, softmax and products on register tiles, in a
// workspace that grows with T, not T². Tiles wholly above the diagonal or before the window are never computed; at the
// band's edges tiles begin and end with their rows. Query blocks and key blocks both start at multiples of 6, so what a
// tile reads of a strip has always been written.
#include <cmath>
#include <optional>

#include "engine/kernels/attention.h"
#include "engine/kernels/cpu/attention_workspace.h"
#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/attention_forward.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Scores become exp(score - max), zero where nothing is seen. The maximum is subtracted even where nothing could
// overflow: it makes the largest weight 1, exact in bfloat16.
template <typename T>
template <bool kBent, int kRows>
inline void Attention<T>::softmax(float* scores, T* probabilities, int64_t out_stride, Rows g, const float* sink,
                                  float* maxima, float* totals) const {
  const int64_t stride = ld;  // here, since what is stored might be a member as far as the compiler knows
  const auto none = hn::Set(kFloats, -INFINITY), scale = hn::Set(kFloats, s.scale);
  Floats largest[kRows], sum[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) largest[r] = none;
  for (int64_t i = g.columns.begin; i < g.columns.end; i += kLanes) {
    const bool whole = g.all_see(kRows, i);
#pragma GCC unroll 8
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
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    largest[r] = hn::MaxOfLanes(kFloats, largest[r]);
    if constexpr (!kBent) largest[r] = hn::Mul(largest[r], scale);
    if (sink) largest[r] = hn::Max(largest[r], hn::Set(kFloats, *sink));
    maxima[r] = hn::GetLane(largest[r]);
    sum[r] = hn::Zero(kFloats);
  }
  const auto unit = hn::Set(kFloats, kBent ? kExponentUnit<T> : kExponentUnit<T> * s.scale);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) largest[r] = hn::Mul(largest[r], hn::Set(kFloats, kExponentUnit<T>));
  for (int64_t i = g.columns.begin; i < g.columns.end; i += kLanes) {
    const bool whole = g.all_see(kRows, i);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      Floats p = exp_of_units<T>(hn::MulSub(load(scores + r * stride + i), unit, largest[r]));
      if (!whole) p = hn::IfThenElseZero(seen(g, r, i), p);
      sum[r] = hn::Add(sum[r], p);
      store(p, probabilities + r * out_stride + i);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    totals[r] = hn::GetLane(hn::SumOfLanes(kFloats, sum[r]));
    if (sink) totals[r] += std::exp(*sink - maxima[r]);
  }
}

template <typename T>
template <bool kBent>
inline void Attention<T>::softmax_strip(int head, int64_t q0, int64_t rows, const float* sink, float* maxima,
                                        float* totals) const {
  T* const probabilities = this->probabilities();
  constexpr int kUnitRowsAtOnce = 8;
  const int64_t at_once = on_unit ? kUnitRowsAtOnce : kTileRows, out_stride = on_unit ? 2 * ld : ld;
  for (int64_t row = 0; row < rows;) {
    const Rows g = rows_of(head, q0, row, rows);
    const bool whole = row + at_once <= rows;
    auto of_rows = whole ? &Attention::softmax<kBent, kTileRows> : &Attention::softmax<kBent, 1>;
    if constexpr (HWY_TARGET == HWY_AVX3 && kPair == 2) {
      if (whole && on_unit) of_rows = &Attention::softmax<kBent, kUnitRowsAtOnce>;
    }
    (this->*of_rows)(w.scores + row * ld, probabilities + row * out_stride, out_stride, g, sink, maxima + row,
                     totals + row);
    row += whole ? at_once : 1;
  }
}

// Of a whole strip at once; in bfloat16 by vectors, since a logarithm per row was a tenth of the time at a head_dim
// of 16.
template <typename T>
inline void Attention<T>::log_sums(const float* maxima, const float* totals, int64_t rows, float* log_sum_exp) const {
  if constexpr (kPair == 1) {
    for (int64_t row = 0; row < rows; ++row) log_sum_exp[row] = maxima[row] + std::log(totals[row]);
  } else {
    for (int64_t row = 0; row < rows; row += kLanes) {
      const int64_t count = rows - row;
      store(hn::Add(load(maxima + row, count), log(load(totals + row, count))), log_sum_exp + row, count);
    }
  }
}

template <typename T>
inline void Attention<T>::forward(const T* qkv, T* out, float* log_sum_exp) const {
  const bool bent = this->bent();
  std::optional<MatrixUnit> unit;
  if (on_unit) unit.emplace(panel_depth(s.head_dim, kDtype));
  const T* probabilities = this->probabilities();
  float maxima[kStripRows], totals[kStripRows];
  for (int head = 0; head < s.heads; ++head) {
    const float* sink = s.sinks ? s.sinks + head : nullptr;
    const T* query = qkv + head * s.head_dim;
    if (head % (s.heads / s.kv_heads) == 0) {
      const T* key = qkv + (s.heads + head / (s.heads / s.kv_heads)) * s.head_dim;
      pack_transposed(key, s.qkv_stride, s.tokens, s.head_dim, w.keys_transposed);
      pack_rows(key + s.kv_heads * s.head_dim, s.qkv_stride, s.tokens, s.head_dim, w.value_rows, depth_of_rows());
    }
    for (int64_t q0 = 0; q0 < s.tokens; q0 += strip_rows) {
      const int64_t rows = std::min(strip_rows, s.tokens - q0);
      score_strip(query + q0 * s.qkv_stride, s.qkv_stride, w.keys_transposed, q0, rows, w.scores, w.query_edge);
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

void attention_forward_any(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* out,
                           float* log_sum_exp, void* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    Attention<float>(shape, workspace).forward(static_cast<const float*>(qkv), static_cast<float*>(out), log_sum_exp);
  } else {
    Attention<tensor::Bf16>(shape, workspace)
        .forward(static_cast<const tensor::Bf16*>(qkv), static_cast<tensor::Bf16*>(out), log_sum_exp);
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(attention_forward_any);

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

}  // namespace flywheel::kernels
#endif
