// One pass over rows; shares are taken again in the backward pass rather than kept.
#include "engine/kernels/value_lerp.h"

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/value_lerp.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
void lerp(const ValueLerp& in, T* y) {
  const auto *value = static_cast<const T*>(in.value), *first = static_cast<const T*>(in.first);
  const auto* x = static_cast<const T*>(in.x);
  for (int64_t t = 0; t < in.tokens; ++t) {
    for (int64_t c = 0; c < in.width; c += kLanes) {
      const int64_t left = in.width - c, at = t * in.width + c;
      const auto own = load(value + at, left);
      const auto share = sigmoid(hn::Add(load(x + at, left), load(in.bias + c, left)));
      store(hn::MulAdd(hn::Sub(load(first + at, left), own), share, own), y + at, left);
    }
  }
}

template <typename T>
void lerp_gradients(const ValueLerp& in, const T* dy, const ValueLerpGradients& out) {
  const auto *value = static_cast<const T*>(in.value), *first = static_cast<const T*>(in.first);
  const auto* x = static_cast<const T*>(in.x);
  auto *dvalue = static_cast<T*>(out.value), *dfirst = static_cast<T*>(out.first), *dx = static_cast<T*>(out.x);
  for (int64_t t = 0; t < in.tokens; ++t) {
    for (int64_t c = 0; c < in.width; c += kLanes) {
      const int64_t left = in.width - c, at = t * in.width + c;
      const auto share = sigmoid(hn::Add(load(x + at, left), load(in.bias + c, left)));
      const auto d = load(dy + at, left), to_first = hn::Mul(d, share);
      const auto way = hn::Sub(load(first + at, left), load(value + at, left));
      const auto dz = hn::Mul(hn::Mul(d, way), hn::NegMulAdd(share, share, share));
      store(hn::Sub(d, to_first), dvalue + at, left);
      store(to_first, dfirst + at, left);
      store(dz, dx + at, left);
      store(hn::Add(dz, load(out.bias + c, left)), out.bias + c, left);
    }
  }
}

void lerp_any(const ValueLerp& inputs, tensor::Dtype dtype, void* y) {
  if (dtype == tensor::Dtype::kFloat32) return lerp(inputs, static_cast<float*>(y));
  lerp(inputs, static_cast<tensor::Bf16*>(y));
}
void lerp_gradients_any(const ValueLerp& inputs, tensor::Dtype dtype, const void* dy,
                        const ValueLerpGradients& gradients) {
  if (dtype == tensor::Dtype::kFloat32) return lerp_gradients(inputs, static_cast<const float*>(dy), gradients);
  lerp_gradients(inputs, static_cast<const tensor::Bf16*>(dy), gradients);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(lerp_any);
HWY_EXPORT(lerp_gradients_any);

void value_lerp_forward(const ValueLerp& inputs, tensor::Dtype dtype, void* y) {
  HWY_DYNAMIC_DISPATCH(lerp_any)(inputs, dtype, y);
}
void value_lerp_backward(const ValueLerp& inputs, tensor::Dtype dtype, const void* dy,
                         const ValueLerpGradients& gradients) {
  HWY_DYNAMIC_DISPATCH(lerp_gradients_any)(inputs, dtype, dy, gradients);
}

}  // namespace flywheel::kernels
#endif
