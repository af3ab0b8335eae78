// Embeddings, conversions, reductions over flat buffers, and AdamW: one pass over memory each.
#include "engine/kernels/elementwise.h"

#include <algorithm>

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/elementwise.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

void to_bfloat16_all(const float* x, tensor::Bf16* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(load(x + i, n - i), y + i, n - i);
}
void to_float_all(const tensor::Bf16* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(load(x + i, n - i), y + i, n - i);
}
// out = x + y; out may be either.
void add_all(const float* x, const float* y, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(hn::Add(load(x + i, n - i), load(y + i, n - i)), out + i, n - i);
}
void scale_all(float* y, float factor, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(hn::Mul(load(y + i, n - i), hn::Set(kFloats, factor)), y + i, n - i);
}

void add_bfloat16(const tensor::Bf16* x, tensor::Bf16* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(hn::Add(load(y + i, n - i), load(x + i, n - i)), y + i, n - i);
}

// float32 sums over blocks of 4,096, which float64 adds up: no long chain of float32 additions.
double squares_all(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t start = 0; start < n; start += 4096) {
    Floats even = hn::Zero(kFloats), odd = hn::Zero(kFloats);
    const int64_t end = std::min(n, start + 4096);
    for (int64_t i = start; i < end; i += 2 * kLanes) {
      const auto a = load(x + i, end - i), b = load(x + i + kLanes, std::max<int64_t>(0, end - i - kLanes));
      even = hn::MulAdd(a, a, even);
      odd = hn::MulAdd(b, b, odd);
    }
    sum += double{hn::GetLane(hn::SumOfLanes(kFloats, hn::Add(even, odd)))};
  }
  return sum;
}

void adamw_all(const AdamwStep& s, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n) {
  const auto beta1 = hn::Set(kFloats, s.beta1), rest1 = hn::Set(kFloats, 1 - s.beta1);
  const auto beta2 = hn::Set(kFloats, s.beta2), rest2 = hn::Set(kFloats, 1 - s.beta2);
  const auto inverse1 = hn::Set(kFloats, 1 / s.correction1), inverse2 = hn::Set(kFloats, 1 / s.correction2);
  const auto rate = hn::Set(kFloats, s.learning_rate), epsilon = hn::Set(kFloats, s.epsilon);
  const auto keep = hn::Set(kFloats, 1 - s.learning_rate * s.weight_decay), clip = hn::Set(kFloats, s.gradient_scale);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i;
    const auto g = hn::Mul(load(gradient + i, count), clip);
    const auto m1 = hn::MulAdd(beta1, load(moment1 + i, count), hn::Mul(rest1, g));
    const auto m2 = hn::MulAdd(beta2, load(moment2 + i, count), hn::Mul(rest2, hn::Mul(g, g)));
    const auto direction = hn::Div(hn::Mul(m1, inverse1), hn::Add(hn::Sqrt(hn::Mul(m2, inverse2)), epsilon));
    store(hn::NegMulAdd(rate, direction, hn::Mul(load(weight + i, count), keep)), weight + i, count);
    store(m1, moment1 + i, count);
    store(m2, moment2 + i, count);
  }
}

template <bool kFades>
void rest(const AdamwRest& s, float* weight, float* moment1, float* moment2, int64_t n) {
  const auto rate = hn::Set(kFloats, s.rate), inverse2 = hn::Set(kFloats, s.inverse_correction2);
  const auto epsilon = hn::Set(kFloats, s.epsilon);
  const auto keep1 = hn::Set(kFloats, s.keep1), keep2 = hn::Set(kFloats, s.keep2);
  each_vector(n, [&](int64_t i, auto count) HWY_ATTR {
    const auto m1 = load(moment1 + i, count), m2 = load(moment2 + i, count);
    const auto direction = hn::Div(m1, hn::Add(hn::Sqrt(hn::Mul(m2, inverse2)), epsilon));
    store(hn::NegMulAdd(rate, direction, load(weight + i, count)), weight + i, count);
    if constexpr (kFades) {
      store(hn::Mul(m1, keep1), moment1 + i, count);
      store(hn::Mul(m2, keep2), moment2 + i, count);
    }
  });
}
void rest_weights(const AdamwRest& s, float* weight, const float* moment1, const float* moment2, int64_t n) {
  rest<false>(s, weight, const_cast<float*>(moment1), const_cast<float*>(moment2), n);
}
void rest_all(const AdamwRest& s, float* weight, float* moment1, float* moment2, int64_t n) {
  rest<true>(s, weight, moment1, moment2, n);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(to_bfloat16_all);
HWY_EXPORT(to_float_all);
HWY_EXPORT(add_all);
HWY_EXPORT(add_bfloat16);
HWY_EXPORT(scale_all);
HWY_EXPORT(squares_all);
HWY_EXPORT(adamw_all);
HWY_EXPORT(rest_all);
HWY_EXPORT(rest_weights);

void embedding_forward(const uint16_t* tokens, const float* table, const float* positions, int64_t t, int64_t c,
                       float* x) {
  for (int64_t row = 0; row < t; ++row) {
    const float* from = table + tokens[row] * c;
    if (positions) {
      HWY_DYNAMIC_DISPATCH(add_all)(from, positions + row * c, x + row * c, c);
    } else {
      std::copy_n(from, c, x + row * c);
    }
  }
}
void embedding_backward(const uint16_t* tokens, const float* dx, int64_t t, int64_t c, float* dtable,
                        float* dpositions) {
  for (int64_t row = 0; dtable && row < t; ++row) add(dx + row * c, dtable + tokens[row] * c, c);
  if (dpositions) add(dx, dpositions, t * c);
}

void convert(const float* x, tensor::Bf16* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(to_bfloat16_all)(x, y, n);
}
void convert(const tensor::Bf16* x, float* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(to_float_all)(x, y, n);
}
void add(const float* x, float* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(add_all)(x, y, y, n);
}
void add(const tensor::Bf16* x, tensor::Bf16* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(add_bfloat16)(x, y, n);
}
void fill(float* y, float value, int64_t n) {
  std::fill_n(y, n, value);
}
void scale(float* y, float factor, int64_t n) {
  HWY_DYNAMIC_DISPATCH(scale_all)(y, factor, n);
}
double sum_of_squares(const float* x, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(squares_all)(x, n);
}
void adamw_rest(const AdamwRest& rest, float* weight, float* moment1, float* moment2, int64_t n) {
  HWY_DYNAMIC_DISPATCH(rest_all)(rest, weight, moment1, moment2, n);
}
void adamw_rest_weights(const AdamwRest& rest, float* weight, const float* moment1, const float* moment2, int64_t n) {
  HWY_DYNAMIC_DISPATCH(rest_weights)(rest, weight, moment1, moment2, n);
}
void adamw(const AdamwStep& step, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n) {
  HWY_DYNAMIC_DISPATCH(adamw_all)(step, gradient, weight, moment1, moment2, n);
}

}  // namespace flywheel::kernels
#endif
