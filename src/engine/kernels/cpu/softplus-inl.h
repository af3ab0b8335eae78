// Softplus of vectors, with what it needs of Highway's mathematics. Included once per Highway target.
#if defined(FLYWHEEL_KERNELS_SOFTPLUS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_SOFTPLUS_INL_H_
#undef FLYWHEEL_KERNELS_SOFTPLUS_INL_H_
#else
#define FLYWHEEL_KERNELS_SOFTPLUS_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// log(1 + e^x) without overflow.
HWY_INLINE Floats softplus(Floats x) {
  const auto tail = hn::Log1p(kFloats, exp(hn::Neg(hn::Abs(x))));
  return hn::Add(at_least(hn::Zero(kFloats), x), tail);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
