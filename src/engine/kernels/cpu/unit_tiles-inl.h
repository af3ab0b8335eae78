// What products and attention share on the matrix unit. Included once per Highway target, of which only AVX-512 uses
// it.
#if defined(FLYWHEEL_KERNELS_UNIT_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_UNIT_TILES_INL_H_
#undef FLYWHEEL_KERNELS_UNIT_TILES_INL_H_
#else
#define FLYWHEEL_KERNELS_UNIT_TILES_INL_H_
#endif

#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// A block's columns, which are a multiple of 16, from `task` on.
inline void unit_columns(UnitTask task, int64_t columns) {
  const auto* b = static_cast<const char*>(task.b);
  for (int64_t column = 0; column < columns; column += 2 * kUnitColumns) {
    task.b = b + column * 4;
    unit_product(task, 2, columns - column >= 2 * kUnitColumns ? 2 : 1);
    task.out += 2 * kUnitColumns;
    const int64_t asked_rows = task.steps * task.written_rows * task.written_stride;
    if (task.written) task.written += asked_rows;
    if (task.slope) task.slope += asked_rows;
    if (task.next) task.next += task.steps * task.next_bytes;
  }
}

#if HWY_TARGET == HWY_AVX3
// One tile of dYᵀ: 16 columns of 32 tokens become 16 rows of 64 bytes. Lane l of a vector has the tokens from 8l on, so
// that transposing 8 x 8 in each lane puts a column's 32 tokens side by side.
HWY_INLINE void transpose_tile(const tensor::Bf16* from, int64_t stride, tensor::Bf16* to) {
  const auto quarter = [](const tensor::Bf16* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
  for (int64_t half = 0; half < 2; ++half, from += 8, to += 8 * kUnitDepth) {
    __m512i x[8], y[8];
#pragma GCC unroll 8
    for (int64_t i = 0; i < 8; ++i) {
      x[i] = _mm512_castsi128_si512(quarter(from + i * stride));
      x[i] = _mm512_inserti32x4(x[i], quarter(from + (i + 8) * stride), 1);
      x[i] = _mm512_inserti32x4(x[i], quarter(from + (i + 16) * stride), 2);
      x[i] = _mm512_inserti32x4(x[i], quarter(from + (i + 24) * stride), 3);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      y[2 * i] = _mm512_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
      y[2 * i + 1] = _mm512_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      x[4 * i] = _mm512_unpacklo_epi32(y[4 * i], y[4 * i + 2]);
      x[4 * i + 1] = _mm512_unpackhi_epi32(y[4 * i], y[4 * i + 2]);
      x[4 * i + 2] = _mm512_unpacklo_epi32(y[4 * i + 1], y[4 * i + 3]);
      x[4 * i + 3] = _mm512_unpackhi_epi32(y[4 * i + 1], y[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      _mm512_storeu_si512(to + 2 * i * kUnitDepth, _mm512_unpacklo_epi64(x[i], x[i + 4]));
      _mm512_storeu_si512(to + (2 * i + 1) * kUnitDepth, _mm512_unpackhi_epi64(x[i], x[i + 4]));
    }
  }
}
#else
inline void transpose_tile(const tensor::Bf16*, int64_t, tensor::Bf16*) {}
#endif

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
