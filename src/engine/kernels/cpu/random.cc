#include "engine/kernels/random.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/random.cc"
// foreach_target must come first.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// `uniform` in (0, 1] and `angle` in [-pi, pi) become two normal draws, in their places. n is a multiple of kLanes.
void box_muller(float standard_deviation, float* uniform, float* angle, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto log = hn::Log(kFloats, load(uniform + i)), turn = load(angle + i);
    const auto radius = hn::Mul(hn::Sqrt(hn::Mul(log, hn::Set(kFloats, -2.0f))), hn::Set(kFloats, standard_deviation));
    store(hn::Mul(radius, hn::Cos(kFloats, turn)), uniform + i);
    store(hn::Mul(radius, hn::Sin(kFloats, turn)), angle + i);
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(box_muller);

void fill_normal(Rng& rng, float standard_deviation, float* values, int64_t n) {
  constexpr int64_t kPairs = 256;  // a multiple of every vector's length
  constexpr float kTurn = 6.28318530718f;
  float first[kPairs], second[kPairs];
  for (int64_t start = 0; start < n; start += 2 * kPairs) {
    for (int64_t i = 0; i < kPairs; ++i) {
      const uint64_t bits = rng.next();
      first[i] = static_cast<float>((bits >> 40) + 1) * 0x1p-24f;
      second[i] = (static_cast<float>(bits & 0xffffff) * 0x1p-24f - 0.5f) * kTurn;
    }
    HWY_DYNAMIC_DISPATCH(box_muller)(standard_deviation, first, second, kPairs);
    const int64_t left = n - start;
    std::copy_n(first, std::min(kPairs, left), values + start);
    if (left > kPairs) std::copy_n(second, std::min(kPairs, left - kPairs), values + start + kPairs);
  }
}

}  // namespace flywheel::kernels
#endif
