// Rotary positions (Su et al. 2021) and RMS QK-norm (Dehghani et al. 2023), in place on queries and keys.
#include <cmath>

#include "engine/kernels/attention.h"
#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/qk_prepare.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
float dot(const T* a, const T* b, int64_t n) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t i = 0; i < n; i += kLanes) sum = hn::MulAdd(load(a + i, n - i), load(b + i, n - i), sum);
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

// x (n) = factor * x, the pairs (i, i + half) of the first 2 * half turned by the angle.
template <typename T>
void scale_and_rotate(T* x, float factor, const float* cosines, const float* sines, int64_t half, int64_t n) {
  const auto f = hn::Set(kFloats, factor);
  for (int64_t i = 2 * half; i < n; i += kLanes) store(hn::Mul(load(x + i, n - i), f), x + i, n - i);
  for (int64_t i = 0; i < half; i += kLanes) {
    const auto a = hn::Mul(load(x + i, half - i), f), b = hn::Mul(load(x + half + i, half - i), f);
    const auto c = load(cosines + i, half - i), s = load(sines + i, half - i);
    store(hn::NegMulAdd(b, s, hn::Mul(a, c)), x + i, half - i);
    store(hn::MulAdd(a, s, hn::Mul(b, c)), x + half + i, half - i);
  }
}

template <typename T>
void prepare_forward(const QkShape& s, T* qkv, float* inverse_rms) {
  const int64_t half = s.cosines ? s.rotary / 2 : 0;
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t v = 0; v < s.vectors; ++v) {
      T* x = qkv + t * s.stride + v * s.head_dim;
      float factor = 1;
      if (s.qk_norm) {
        factor = 1 / std::sqrt(dot(x, x, s.head_dim) / static_cast<float>(s.head_dim) + kNormEpsilon);
        inverse_rms[t * s.vectors + v] = factor;
      }
      scale_and_rotate(x, factor, s.cosines + t * half, s.sines + t * half, half, s.head_dim);
    }
  }
}

// A rotation keeps lengths and angles, so the norm's derivative is taken on the rotated vectors, then turned back. The
// intermediate keeps T's precision only once: both steps happen before the store.
template <typename T>
void prepare_backward(const QkShape& s, const T* qkv, const float* inverse_rms, T* dqkv) {
  const int64_t half = s.cosines ? s.rotary / 2 : 0;
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t v = 0; v < s.vectors; ++v) {
      const T* y = qkv + t * s.stride + v * s.head_dim;
      T* dx = dqkv + t * s.stride + v * s.head_dim;
      const float mean = s.qk_norm ? dot(y, dx, s.head_dim) / static_cast<float>(s.head_dim) : 0.0f;
      const auto factor = hn::Set(kFloats, s.qk_norm ? inverse_rms[t * s.vectors + v] : 1.0f),
                 m = hn::Set(kFloats, mean);
      const auto unscaled = [&](int64_t i, int64_t count) {
        return hn::Mul(factor, hn::NegMulAdd(load(y + i, count), m, load(dx + i, count)));
      };
      for (int64_t i = 2 * half; i < s.head_dim; i += kLanes) {
        store(unscaled(i, s.head_dim - i), dx + i, s.head_dim - i);
      }
      for (int64_t i = 0; i < half; i += kLanes) {
        const int64_t count = half - i;
        const auto a = unscaled(i, count), b = unscaled(half + i, count);
        const auto c = load(s.cosines + t * half + i, count), sine = load(s.sines + t * half + i, count);
        store(hn::MulAdd(b, sine, hn::Mul(a, c)), dx + i, count);
        store(hn::NegMulAdd(a, sine, hn::Mul(b, c)), dx + half + i, count);
      }
    }
  }
}

void qk_forward_any(const QkShape& shape, tensor::Dtype dtype, void* qkv, float* inverse_rms) {
  if (dtype == tensor::Dtype::kFloat32) return prepare_forward(shape, static_cast<float*>(qkv), inverse_rms);
  return prepare_forward(shape, static_cast<tensor::Bf16*>(qkv), inverse_rms);
}
void qk_backward_any(const QkShape& shape, tensor::Dtype dtype, const void* qkv, const float* inverse_rms, void* dqkv) {
  if (dtype == tensor::Dtype::kFloat32) {
    return prepare_backward(shape, static_cast<const float*>(qkv), inverse_rms, static_cast<float*>(dqkv));
  }
  return prepare_backward(shape, static_cast<const tensor::Bf16*>(qkv), inverse_rms, static_cast<tensor::Bf16*>(dqkv));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(qk_forward_any);
HWY_EXPORT(qk_backward_any);

void rope_table(int64_t tokens, int width, double base, float* cosines, float* sines) {
  const int64_t half = width / 2;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) * std::pow(base, -2.0 * static_cast<double>(i) / width);
      cosines[t * half + i] = static_cast<float>(std::cos(angle));
      sines[t * half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void qk_prepare_forward(const QkShape& shape, tensor::Dtype dtype, void* qkv, float* inverse_rms) {
  HWY_DYNAMIC_DISPATCH(qk_forward_any)(shape, dtype, qkv, inverse_rms);
}
void qk_prepare_backward(const QkShape& shape, tensor::Dtype dtype, const void* qkv, const float* inverse_rms,
                         void* dqkv) {
  HWY_DYNAMIC_DISPATCH(qk_backward_any)(shape, dtype, qkv, inverse_rms, dqkv);
}

}  // namespace flywheel::kernels
#endif
