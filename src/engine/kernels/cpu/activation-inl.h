// Activations with their derivatives, chosen at compile time. Included once per Highway target.
#if defined(FLYWHEEL_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_ACTIVATION_INL_H_
#undef FLYWHEEL_KERNELS_ACTIVATION_INL_H_
#else
#define FLYWHEEL_KERNELS_ACTIVATION_INL_H_
#endif

#include <type_traits>

#include "engine/kernels/cpu/simd-inl.h"
#include "engine/kernels/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// What an activation gives, and its derivative there, as exact as what is Stored can tell; one that nobody reads costs
// nothing.
struct Activated {
  Floats value, slope;
};
template <Activation kKind, typename Stored>
HWY_INLINE Activated activate(Floats x) {
  if constexpr (kKind == Activation::kGelu) {
    const auto gate = gelu_gate<Stored>(x);
    return {hn::Mul(x, gate), gelu_slope(x, gate)};
  }
  if constexpr (kKind == Activation::kSilu) {
    const auto gate = sigmoid<Stored>(x), value = hn::Mul(x, gate);
    return {value, silu_slope(value, gate)};
  }
  if constexpr (kKind == Activation::kReluSquared) {
    const auto positive = at_least(hn::Zero(kFloats), x);
    return {hn::Mul(positive, positive), hn::Add(positive, positive)};
  }
  return {x, hn::Set(kFloats, 1.0f)};
}

// Calls with the kind as a compile-time constant.
template <typename Call>
HWY_INLINE void with_kind(Activation kind, Call&& call) {
  switch (kind) {
    case Activation::kNone:
      return call(std::integral_constant<Activation, Activation::kNone>());
    case Activation::kGelu:
      return call(std::integral_constant<Activation, Activation::kGelu>());
    case Activation::kReluSquared:
      return call(std::integral_constant<Activation, Activation::kReluSquared>());
    case Activation::kSilu:
      return call(std::integral_constant<Activation, Activation::kSilu>());
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
