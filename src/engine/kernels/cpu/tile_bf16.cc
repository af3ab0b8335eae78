// Chosen by CPUID; everything else in this library goes through Highway.
#include "engine/kernels/cpu/tile_bf16.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#endif

namespace flywheel::kernels {

#if defined(__x86_64__)
namespace {

// As -mavx512bf16 for one function, so that the binary runs on any x86-64.
#define FLYWHEEL_DOT __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

FLYWHEEL_DOT inline __m512bh broadcast_pair(const uint16_t* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}
FLYWHEEL_DOT inline __m512bh broadcast_half(const uint16_t* first) {
  uint16_t bits;
  std::memcpy(&bits, first, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

FLYWHEEL_DOT inline __m512 load_bfloat16(const tensor::Bf16* from) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  constexpr __mmask16 kAll = 0xffff;  // the unmasked forms make g++ 12 warn about its own headers
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, half), 16));
}

FLYWHEEL_DOT inline void finish_plain(const TileTask& t, __m512 x, int64_t at) {
  _mm512_storeu_ps(t.out + at, t.add ? _mm512_add_ps(_mm512_loadu_ps(t.out + at), x) : x);
}
FLYWHEEL_DOT inline void finish(const TileTask& t, __m512 x, int64_t at) {
  if (t.factor) x = _mm512_mul_ps(x, load_bfloat16(static_cast<const tensor::Bf16*>(t.factor) + at));
  if (t.residual) x = _mm512_add_ps(x, _mm512_loadu_ps(t.residual + at));
  if (!t.rounded) return finish_plain(t, x, at);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(t.rounded + at), (__m256i)_mm512_cvtneps_pbh(x));
}

template <int kRows, int kVectors>
FLYWHEEL_DOT void tile(const TileTask& t) {
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  const uint16_t* a = static_cast<const uint16_t*>(t.a);
  const uint16_t* b = static_cast<const uint16_t*>(t.b);
  const int parts = t.prefetch ? kRows : 1;
  for (int part = 0; part < parts; ++part) {
    if (t.prefetch) prefetch_row(t, part, 16 * kVectors);
    for (int64_t step = t.steps * part / parts; step < t.steps * (part + 1) / parts; ++step) {
      __m512bh right[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) right[v] = (__m512bh)_mm512_loadu_si512(b + 32 * v);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        const __m512bh left = broadcast_pair(a + r * t.a_row_stride);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
      }
      a += t.a_step_stride;
      b += t.b_step_stride;
    }
  }
  if (t.half_step) {
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512bh left = broadcast_half(a + r * t.a_row_stride);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, (__m512bh)_mm512_loadu_si512(b + 32 * v));
      }
    }
  }
  if (is_plain(t)) {
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) finish_plain(t, sum[r][v], r * t.out_stride + 16 * v);
    }
    return;
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) finish(t, sum[r][v], r * t.out_stride + 16 * v);
  }
}

using Tile = void (*)(const TileTask&);
constexpr Tile kTiles[6][4] = {
    {tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>}, {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>},
    {tile<3, 1>, tile<3, 2>, tile<3, 3>, tile<3, 4>}, {tile<4, 1>, tile<4, 2>, tile<4, 3>, tile<4, 4>},
    {tile<5, 1>, tile<5, 2>, tile<5, 3>, tile<5, 4>}, {tile<6, 1>, tile<6, 2>, tile<6, 3>, tile<6, 4>},
};

FLYWHEEL_DOT double dot_chains(int64_t repetitions) {
  constexpr int kChains = 24;
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512bh left = (__m512bh)_mm512_set1_epi32(0x3f003f00), right = (__m512bh)_mm512_set1_epi32(0x3e003e00);
  for (int64_t i = 0; i < repetitions; ++i) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) sum[c] = _mm512_dpbf16_ps(sum[c], left, right);
    asm volatile("" : "+v"(left), "+v"(right));  // keeps the loop from being folded
  }
#pragma GCC unroll 24
  for (int c = 0; c < kChains; ++c) asm volatile("" : : "v"(sum[c]));
  return static_cast<double>(repetitions) * kChains * 64;
}
#undef FLYWHEEL_DOT

}  // namespace

const bool kMachineHasBfloat16Dot = machine_has_bfloat16_dot();
bool machine_has_bfloat16_dot() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
  return has;
}
void tile_bfloat16_dot(const TileTask& task, int64_t rows, int64_t columns) {
  kTiles[rows - 1][columns / 16 - 1](task);
}
double run_bfloat16_chains(int64_t repetitions) {
  return dot_chains(repetitions);
}

#else

const bool kMachineHasBfloat16Dot = false;
bool machine_has_bfloat16_dot() {
  return false;
}
void tile_bfloat16_dot(const TileTask&, int64_t, int64_t) {}
double run_bfloat16_chains(int64_t) {
  return 0;
}

#endif

}  // namespace flywheel::kernels
