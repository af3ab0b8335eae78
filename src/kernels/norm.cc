// Two passes over a row that is in the L1 cache, sums in vectors. Ba et al. 2016 (LayerNorm), Zhang and Sennrich 2019
// (RMS).
#include "kernels/norm.h"

#include <cmath>

#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE float total(Floats x) {
  return hn::GetLane(hn::SumOfLanes(kFloats, x));
}
// Lanes beyond `count` become zero.
HWY_INLINE Floats first_lanes(Floats x, int64_t count) {
  return count >= kLanes ? x : hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<size_t>(count)), x);
}

template <typename T>
void normalise(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c, T* y,
               float* statistics) {
  const float inverse_c = 1.0f / static_cast<float>(c);
  for (int64_t row = 0; row < m; ++row, x += c, y += c, statistics += 2) {
    Floats sum = hn::Zero(kFloats), squares = hn::Zero(kFloats);
    if (subtract_mean) {
      each_vector(c, [&](int64_t i, auto count) HWY_ATTR { sum = hn::Add(sum, load(x + i, count)); });
    }
    const float mean = total(sum) * inverse_c;
    const auto centre = hn::Set(kFloats, mean);
    each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
      const auto centred = first_lanes(hn::Sub(load(x + i, count), centre), c - i);
      squares = hn::MulAdd(centred, centred, squares);
    });
    const float inverse = 1.0f / std::sqrt(total(squares) * inverse_c + kNormEpsilon);
    statistics[0] = mean;
    statistics[1] = inverse;
    const auto factor = hn::Set(kFloats, inverse);
    each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
      Floats normal = hn::Mul(hn::Sub(load(x + i, count), centre), factor);
      if (gain) normal = hn::Mul(normal, load(gain + i, count));
      if (bias) normal = hn::Add(normal, load(bias + i, count));
      store(normal, y + i, count);
    });
  }
}

template <typename T>
void normalise_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const T* dy,
                        int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  const float inverse_c = 1.0f / static_cast<float>(c);
  for (int64_t row = 0; row < m; ++row, x += c, dy += c, dx += c, statistics += 2) {
    const auto centre = hn::Set(kFloats, statistics[0]), factor = hn::Set(kFloats, statistics[1]);
    Floats sum = hn::Zero(kFloats), dot = hn::Zero(kFloats);
    each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
      Floats d = load(dy + i, count);  // beyond the row zero, and with it every product
      const auto normal = hn::Mul(hn::Sub(load(x + i, count), centre), factor);
      if (dgain) store(hn::MulAdd(d, normal, load(dgain + i, count)), dgain + i, count);
      if (dbias) store(hn::Add(d, load(dbias + i, count)), dbias + i, count);
      if (gain) d = hn::Mul(d, load(gain + i, count));
      sum = hn::Add(sum, d);
      dot = hn::MulAdd(d, normal, dot);
    });
    const auto mean_d = hn::Set(kFloats, subtract_mean ? total(sum) * inverse_c : 0.0f);
    const auto mean_dot = hn::Set(kFloats, total(dot) * inverse_c);
    each_vector(c, [&](int64_t i, auto count) HWY_ATTR {
      Floats d = load(dy + i, count);
      if (gain) d = hn::Mul(d, load(gain + i, count));
      const auto normal = hn::Mul(hn::Sub(load(x + i, count), centre), factor);
      const auto centred = hn::NegMulAdd(normal, mean_dot, hn::Sub(d, mean_d));
      store(hn::MulAdd(factor, centred, load(dx + i, count)), dx + i, count);
    });
  }
}

void norm_forward_any(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                      void* y, Dtype y_dtype, float* statistics) {
  if (y_dtype == Dtype::kFloat32) {
    return normalise(subtract_mean, x, gain, bias, m, c, static_cast<float*>(y), statistics);
  }
  normalise(subtract_mean, x, gain, bias, m, c, static_cast<Bf16*>(y), statistics);
}
void norm_backward_any(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                       Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  if (dy_dtype == Dtype::kFloat32) {
    return normalise_backward(subtract_mean, x, gain, statistics, static_cast<const float*>(dy), m, c, dx, dgain,
                              dbias);
  }
  normalise_backward(subtract_mean, x, gain, statistics, static_cast<const Bf16*>(dy), m, c, dx, dgain, dbias);
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
                              void* y, Dtype y_dtype) {
  if (y_dtype == Dtype::kFloat32) return squash(x, alpha, gain, bias, m, c, static_cast<float*>(y));
  squash(x, alpha, gain, bias, m, c, static_cast<Bf16*>(y));
}
void dynamic_tanh_backward_any(const float* x, float alpha, const float* gain, const void* dy, Dtype dy_dtype,
                               int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias) {
  if (dy_dtype == Dtype::kFloat32) {
    return squash_backward(x, alpha, gain, static_cast<const float*>(dy), m, c, dx, dalpha, dgain, dbias);
  }
  squash_backward(x, alpha, gain, static_cast<const Bf16*>(dy), m, c, dx, dalpha, dgain, dbias);
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
                  void* y, Dtype y_dtype, float* statistics) {
  HWY_DYNAMIC_DISPATCH(norm_forward_any)(subtract_mean, x, gain, bias, m, c, y, y_dtype, statistics);
}
void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  HWY_DYNAMIC_DISPATCH(norm_backward_any)(subtract_mean, x, gain, statistics, dy, dy_dtype, m, c, dx, dgain, dbias);
}

void dynamic_tanh_forward(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                          void* y, Dtype y_dtype) {
  HWY_DYNAMIC_DISPATCH(dynamic_tanh_forward_any)(x, alpha, gain, bias, m, c, y, y_dtype);
}

void dynamic_tanh_backward(const float* x, float alpha, const float* gain, const void* dy, Dtype dy_dtype, int64_t m,
                           int64_t c, float* dx, float* dalpha, float* dgain, float* dbias) {
  HWY_DYNAMIC_DISPATCH(dynamic_tanh_backward_any)(x, alpha, gain, dy, dy_dtype, m, c, dx, dalpha, dgain, dbias);
}

}  // namespace flywheel::kernels
#endif
