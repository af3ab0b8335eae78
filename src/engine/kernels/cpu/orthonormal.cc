// Householder reflections on rows: every pass is along contiguous memory, a dot product and what follows from it.
#include "engine/kernels/orthonormal.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/orthonormal.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE float dot(const float* a, const float* b, int64_t n) {
  Floats even = hn::Zero(kFloats), odd = hn::Zero(kFloats);
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even = hn::MulAdd(load(a + i), load(b + i), even);
    odd = hn::MulAdd(load(a + i + kLanes), load(b + i + kLanes), odd);
  }
  for (; i < n; i += kLanes) even = hn::MulAdd(load(a + i, n - i), load(b + i, n - i), even);
  return hn::GetLane(hn::SumOfLanes(kFloats, hn::Add(even, odd)));
}

// row -= factor * (reflector . row) * reflector
HWY_INLINE void reflect(const float* reflector, float factor, float* row, int64_t n) {
  const auto along = hn::Set(kFloats, factor * dot(reflector, row, n));
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(hn::NegMulAdd(along, load(reflector + i), load(row + i)), kFloats, row + i);
  }
  if (i < n) store(hn::NegMulAdd(along, load(reflector + i, n - i), load(row + i, n - i)), row + i, n - i);
}

void orthonormal_all(float* rows, int64_t n, float* basis, float* factors) {
  // Row k's part from column k on becomes the reflector that turns that part into a multiple of e_k.
  for (int64_t k = 0; k < n; ++k) {
    float* reflector = rows + k * n + k;
    const int64_t length = n - k;
    reflector[0] += std::copysign(std::sqrt(dot(reflector, reflector, length)), reflector[0]);
    const float square = dot(reflector, reflector, length);
    factors[k] = square > 0 ? 2 / square : 0;
    for (int64_t row = k + 1; row < n; ++row) reflect(reflector, factors[k], rows + row * n + k, length);
  }
  for (int64_t k = n - 1; k >= 0; --k) {
    for (int64_t row = k; row < n; ++row) reflect(rows + k * n + k, factors[k], basis + row * n + k, n - k);
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(orthonormal_all);

namespace {

// Rows of any size count alike, and their squares stay inside float32; those that are all but zero become zero.
void normalise(float* row, int64_t n) {
  constexpr float kNothing = 1e-30f;
  float largest = 0;
  for (int64_t i = 0; i < n; ++i)
    if (!(std::abs(row[i]) <= largest)) largest = std::abs(row[i]);  // a NaN stays
  if (largest < kNothing) {
    std::fill_n(row, n, 0.0f);
    return;
  }
  scale(row, 1 / largest, n);
  scale(row, static_cast<float>(1 / std::sqrt(sum_of_squares(row, n))), n);
}

}  // namespace

void orthonormal_rows(float* rows, int64_t n, float* basis, float* factors) {
  for (int64_t k = 0; k < n; ++k) {
    normalise(rows + k * n, n);
  }
  std::fill_n(basis, n * n, 0.0f);
  for (int64_t k = 0; k < n; ++k) basis[k * n + k] = 1;
  HWY_DYNAMIC_DISPATCH(orthonormal_all)(rows, n, basis, factors);
}

}  // namespace flywheel::kernels
#endif
