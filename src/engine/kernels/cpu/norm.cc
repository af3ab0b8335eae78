// Two passes over a row that is in the L1 cache, sums in vectors. Ba et al. 2016 (LayerNorm), Zhang and Sennrich 2019
// (RMS).
#include "engine/kernels/norm.h"

#include <cmath>

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/norm.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE float total(Floats x) {
  return hn::GetLane(hn::SumOfLanes(kFloats, x));
}
// Lanes beyond `count` become zero.
HWY_INLINE Floats first_lanes(Floats x, int64_t count) {
  return count >= kLanes ? x : hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<size_t>(count)), x);
}

// Calls body(row, count) for four rows at a time, then for one: the sum over the lanes of one row waits for itself.
template <typename Body>
HWY_INLINE void each_rows(int64_t m, Body&& body) {
  constexpr int kMany = 4;
  int64_t row = 0;
  for (; row + kMany <= m; row += kMany) body(row, std::integral_constant<int, kMany>());
  for (; row < m; ++row) body(row, std::integral_constant<int, 1>());
}

template <int kRows, typename T>
HWY_INLINE void normalise_rows(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t c,
                               T* y, float* statistics) {
  const float inverse_c = 1.0f / static_cast<float>(c);
  Floats sum[kRows], squares[kRows], centre[kRows], factor[kRows];
  for (int r = 0; r < kRows; ++r) sum[r] = squares[r] = hn::Zero(kFloats);
  if (subtract_mean) {
    each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
      for (int r = 0; r < kRows; ++r) sum[r] = hn::Add(sum[r], load(x + r * c + i, count));
    });
  }
  for (int r = 0; r < kRows; ++r) {
    statistics[2 * r] = total(sum[r]) * inverse_c;
    centre[r] = hn::Set(kFloats, statistics[2 * r]);
  }
  each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
    for (int r = 0; r < kRows; ++r) {
      const auto centred = first_lanes(hn::Sub(load(x + r * c + i, count), centre[r]), c - i);
      squares[r] = hn::MulAdd(centred, centred, squares[r]);
    }
  });
  for (int r = 0; r < kRows; ++r) {
    statistics[2 * r + 1] = 1.0f / std::sqrt(total(squares[r]) * inverse_c + kNormEpsilon);
    factor[r] = hn::Set(kFloats, statistics[2 * r + 1]);
  }
  each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
    for (int r = 0; r < kRows; ++r) {
      Floats normal = hn::Mul(hn::Sub(load(x + r * c + i, count), centre[r]), factor[r]);
      if (gain) normal = hn::Mul(normal, load(gain + i, count));
      if (bias) normal = hn::Add(normal, load(bias + i, count));
      store(normal, y + r * c + i, count);
    }
  });
}

template <typename T>
void normalise(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c, T* y,
               float* statistics) {
  each_rows(m, [&](int64_t row, auto count) HWY_ATTR {
    normalise_rows<count>(subtract_mean, x + row * c, gain, bias, c, y + row * c, statistics + 2 * row);
  });
}

template <int kRows, typename T>
HWY_INLINE void normalise_backward_rows(bool subtract_mean, const float* x, const float* gain, const float* statistics,
                                        const T* dy, int64_t c, float* dx, float* dgain, float* dbias) {
  const float inverse_c = 1.0f / static_cast<float>(c);
  Floats centre[kRows], factor[kRows], sum[kRows], dot[kRows];
  for (int r = 0; r < kRows; ++r) {
    centre[r] = hn::Set(kFloats, statistics[2 * r]);
    factor[r] = hn::Set(kFloats, statistics[2 * r + 1]);
    sum[r] = dot[r] = hn::Zero(kFloats);
  }
  const auto normal = [&](int r, int64_t i, auto count)
                          HWY_ATTR { return hn::Mul(hn::Sub(load(x + r * c + i, count), centre[r]), factor[r]); };
  each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
    Floats gains = hn::Zero(kFloats), biases = hn::Zero(kFloats);
    for (int r = 0; r < kRows; ++r) {
      Floats d = load(dy + r * c + i, count);  // beyond the row zero, and with it every product
      const auto x_normal = normal(r, i, count);
      gains = hn::MulAdd(d, x_normal, gains);
      biases = hn::Add(d, biases);
      if (gain) d = hn::Mul(d, load(gain + i, count));
      sum[r] = hn::Add(sum[r], d);
      dot[r] = hn::MulAdd(d, x_normal, dot[r]);
    }
    if (dgain) store(hn::Add(gains, load(dgain + i, count)), dgain + i, count);
    if (dbias) store(hn::Add(biases, load(dbias + i, count)), dbias + i, count);
  });
  for (int r = 0; r < kRows; ++r) {
    sum[r] = hn::Set(kFloats, subtract_mean ? total(sum[r]) * inverse_c : 0.0f);
    dot[r] = hn::Set(kFloats, total(dot[r]) * inverse_c);
  }
  each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
    for (int r = 0; r < kRows; ++r) {
      Floats d = load(dy + r * c + i, count);
      if (gain) d = hn::Mul(d, load(gain + i, count));
      const auto centred = hn::NegMulAdd(normal(r, i, count), dot[r], hn::Sub(d, sum[r]));
      store(hn::MulAdd(factor[r], centred, load(dx + r * c + i, count)), dx + r * c + i, count);
    }
  });
}

template <typename T>
void normalise_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const T* dy,
                        int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  each_rows(m, [&](int64_t row, auto count) HWY_ATTR {
    normalise_backward_rows<count>(subtract_mean, x + row * c, gain, statistics + 2 * row, dy + row * c, c,
                                   dx + row * c, dgain, dbias);
  });
}

void norm_forward_any(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                      void* y, tensor::Dtype y_dtype, float* statistics) {
  if (y_dtype == tensor::Dtype::kFloat32) {
    return normalise(subtract_mean, x, gain, bias, m, c, static_cast<float*>(y), statistics);
  }
  normalise(subtract_mean, x, gain, bias, m, c, static_cast<tensor::Bf16*>(y), statistics);
}
void norm_backward_any(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                       tensor::Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  if (dy_dtype == tensor::Dtype::kFloat32) {
    return normalise_backward(subtract_mean, x, gain, statistics, static_cast<const float*>(dy), m, c, dx, dgain,
                              dbias);
  }
  normalise_backward(subtract_mean, x, gain, statistics, static_cast<const tensor::Bf16*>(dy), m, c, dx, dgain, dbias);
}

template <typename T>
void squash(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c, T* y) {
  const auto slope = hn::Set(kFloats, alpha);
  for (int64_t row = 0; row < m; ++row, x += c, y += c) {
    for (int64_t i = 0; i < c; i += kLanes) {
      const auto squashed = tanh(hn::Mul(slope, load(x + i, c - i)));
      store(hn::MulAdd(squashed, load(gain + i, c - i), load(bias + i, c - i)), y + i, c - i);
    }
  }
}

template <typename T>
void squash_backward(const float* x, float alpha, const float* gain, const T* dy, int64_t m, int64_t c, float* dx,
                     float* dalpha, float* dgain, float* dbias) {
  const auto slope = hn::Set(kFloats, alpha);
  for (int64_t row = 0; row < m; ++row, x += c, dy += c, dx += c) {
    Floats dot = hn::Zero(kFloats);
    for (int64_t i = 0; i < c; i += kLanes) {
      const auto d = load(dy + i, c - i), from = load(x + i, c - i);  // beyond the row zero
      const auto squashed = tanh(hn::Mul(slope, from));
      store(hn::MulAdd(d, squashed, load(dgain + i, c - i)), dgain + i, c - i);
      store(hn::Add(d, load(dbias + i, c - i)), dbias + i, c - i);
      const auto inside =
          hn::Mul(hn::Mul(d, load(gain + i, c - i)), hn::NegMulAdd(squashed, squashed, hn::Set(kFloats, 1.0f)));
      dot = hn::MulAdd(inside, from, dot);
      store(hn::MulAdd(inside, slope, load(dx + i, c - i)), dx + i, c - i);
    }
    *dalpha += total(dot);
  }
}

void dynamic_tanh_forward_any(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                              void* y, tensor::Dtype y_dtype) {
  if (y_dtype == tensor::Dtype::kFloat32) return squash(x, alpha, gain, bias, m, c, static_cast<float*>(y));
  squash(x, alpha, gain, bias, m, c, static_cast<tensor::Bf16*>(y));
}
void dynamic_tanh_backward_any(const float* x, float alpha, const float* gain, const void* dy, tensor::Dtype dy_dtype,
                               int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias) {
  if (dy_dtype == tensor::Dtype::kFloat32) {
    return squash_backward(x, alpha, gain, static_cast<const float*>(dy), m, c, dx, dalpha, dgain, dbias);
  }
  squash_backward(x, alpha, gain, static_cast<const tensor::Bf16*>(dy), m, c, dx, dalpha, dgain, dbias);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(norm_forward_any);
HWY_EXPORT(norm_backward_any);
HWY_EXPORT(dynamic_tanh_forward_any);
HWY_EXPORT(dynamic_tanh_backward_any);

void norm_forward(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                  void* y, tensor::Dtype y_dtype, float* statistics) {
  HWY_DYNAMIC_DISPATCH(norm_forward_any)(subtract_mean, x, gain, bias, m, c, y, y_dtype, statistics);
}
void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   tensor::Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  HWY_DYNAMIC_DISPATCH(norm_backward_any)(subtract_mean, x, gain, statistics, dy, dy_dtype, m, c, dx, dgain, dbias);
}

void dynamic_tanh_forward(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                          void* y, tensor::Dtype y_dtype) {
  HWY_DYNAMIC_DISPATCH(dynamic_tanh_forward_any)(x, alpha, gain, bias, m, c, y, y_dtype);
}

void dynamic_tanh_backward(const float* x, float alpha, const float* gain, const void* dy, tensor::Dtype dy_dtype,
                           int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias) {
  HWY_DYNAMIC_DISPATCH(dynamic_tanh_backward_any)(x, alpha, gain, dy, dy_dtype, m, c, dx, dalpha, dgain, dbias);
}

}  // namespace flywheel::kernels
#endif
