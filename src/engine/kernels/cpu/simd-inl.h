// Per-target vocabulary of the kernels: loads and stores of float32 and bfloat16 with tails, and exp, sigmoid and GELU.
// Included once per Highway target.
#if defined(FLYWHEEL_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_SIMD_INL_H_
#undef FLYWHEEL_KERNELS_SIMD_INL_H_
#else
#define FLYWHEEL_KERNELS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/kernels/cpu/tile_bf16.h"
#include "engine/tensor/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using Floats = hn::Vec<FloatTag>;
inline constexpr FloatTag kFloats{};
inline constexpr IntTag kInts{};
inline constexpr hn::RebindToUnsigned<FloatTag> kWords{};
using Ints = hn::Vec<IntTag>;
inline constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(FloatTag()));

HWY_INLINE Floats load(const float* from) {
  return hn::LoadU(kFloats, from);
}
HWY_INLINE Floats load(const tensor::Bf16* from) {
  const hn::Rebind<uint16_t, FloatTag> half;
  const auto bits = hn::PromoteTo(kWords, hn::LoadU(half, reinterpret_cast<const uint16_t*>(from)));
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(bits));
}

// Rounded to nearest even in the upper 16 bits of each lane; the lower 16 are anything. A quiet NaN stays one.
HWY_INLINE Ints rounded_bits(Floats x) {
  const auto bits = hn::BitCast(kInts, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kInts, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(kInts, 0x7fff)));
  return hn::IfThenElse(hn::RebindMask(kInts, hn::IsNaN(x)), bits, rounded);
}

// The upper halves of two rounded_bits side by side, lane by lane.
HWY_INLINE void store_pairs(Ints first, Ints second, tensor::Bf16* to) {
  const auto low = hn::BitCast(kInts, hn::ShiftRight<16>(hn::BitCast(kWords, first)));
  const auto high = hn::And(second, hn::Set(kInts, static_cast<int32_t>(0xffff0000u)));
  hn::StoreU(hn::Or(low, high), kInts, reinterpret_cast<int32_t*>(to));
}

HWY_INLINE void store(Floats x, float* to) {
  hn::StoreU(x, kFloats, to);
}
// By the AVX512-BF16 instruction where there is one: the same numbers, but denormals become zero.
using Halves = hn::Vec<hn::Rebind<uint16_t, FloatTag>>;
HWY_INLINE Halves rounded_halves(Floats x) {
#if HWY_TARGET == HWY_AVX3
  if (kMachineHasBfloat16Dot) {
    Halves half;
    asm("vcvtneps2bf16 %1, %0" : "=v"(half.raw) : "v"(x.raw));
    return half;
  }
#endif
  return hn::TruncateTo(hn::Rebind<uint16_t, FloatTag>(), hn::ShiftRight<16>(hn::BitCast(kWords, rounded_bits(x))));
}
HWY_INLINE void store(Halves x, tensor::Bf16* to) {
  hn::StoreU(x, hn::Rebind<uint16_t, FloatTag>(), reinterpret_cast<uint16_t*>(to));
}
HWY_INLINE void store(Floats x, tensor::Bf16* to) {
  store(rounded_halves(x), to);
}
HWY_INLINE Halves load_halves(const tensor::Bf16* from) {
  return hn::LoadU(hn::Rebind<uint16_t, FloatTag>(), reinterpret_cast<const uint16_t*>(from));
}
#if HWY_TARGET == HWY_AVX3
// Turns the lower and the upper half of a vector into pairs.
HWY_INLINE void store_turned(__m512i halves, tensor::Bf16* to) {
  alignas(64) static constexpr uint16_t kTurns[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  _mm512_storeu_si512(to, _mm512_maskz_permutexvar_epi16(0xffffffff, _mm512_load_si512(kTurns), halves));
}
#endif
HWY_INLINE void store_pairs(Halves first, Halves second, tensor::Bf16* to) {
#if HWY_TARGET == HWY_AVX3
  store_turned(_mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(first.raw), second.raw, 1), to);
#else
  const auto high = hn::ShiftLeft<16>(hn::PromoteTo(kWords, second));
  hn::StoreU(hn::Or(hn::PromoteTo(kWords, first), high), kWords, reinterpret_cast<uint32_t*>(to));
#endif
}
// Two vectors rounded, side by side lane by lane; and each by itself where `rows` are given.
struct RoundedRows {
  tensor::Bf16 *first, *second;
};
HWY_INLINE void store_rounded_pairs(Floats first, Floats second, tensor::Bf16* to, const RoundedRows* rows = nullptr) {
#if HWY_TARGET == HWY_AVX3
  if (kMachineHasBfloat16Dot) {
    __m512i both;
    asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(first.raw), "v"(second.raw));
    store_turned(both, to);
    if (!rows) return;
    store(Halves{_mm512_castsi512_si256(both)}, rows->first);
    store(Halves{_mm512_maskz_extracti64x4_epi64(0xf, both, 1)}, rows->second);
    return;
  }
#endif
  const Halves low = rounded_halves(first), high = rounded_halves(second);
  store_pairs(low, high, to);
  if (!rows) return;
  store(low, rows->first);
  store(high, rows->second);
}

// The first `count` lanes only; the others read as zero. Full vectors take the plain way.
#if HWY_TARGET == HWY_AVX3
HWY_INLINE __mmask16 first_lanes_mask(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}
HWY_INLINE Floats load_part(const float* from, int64_t count) {
  return Floats{_mm512_maskz_loadu_ps(first_lanes_mask(count), from)};
}
HWY_INLINE Floats load_part(const tensor::Bf16* from, int64_t count) {
  const __m256i halves = _mm256_maskz_loadu_epi16(first_lanes_mask(count), from);
  return Floats{_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, halves), 16))};
}
HWY_INLINE void store_part(Floats x, float* to, int64_t count) {
  _mm512_mask_storeu_ps(to, first_lanes_mask(count), x.raw);
}
HWY_INLINE void store_part(Floats x, tensor::Bf16* to, int64_t count) {
  _mm256_mask_storeu_epi16(to, first_lanes_mask(count), rounded_halves(x).raw);
}
#else
template <typename T>
HWY_INLINE Floats load_part(const T* from, int64_t count) {
  T lanes[kLanes] = {};
  if constexpr (kLanes > 1) std::memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
  return load(lanes);
}
template <typename T>
HWY_INLINE void store_part(Floats x, T* to, int64_t count) {
  T lanes[kLanes];
  store(x, lanes);
  if constexpr (kLanes > 1) std::memcpy(to, lanes, static_cast<size_t>(count) * sizeof(T));
}
#endif
template <typename T>
HWY_INLINE Floats load(const T* from, int64_t count) {
  return count >= kLanes ? load(from) : load_part(from, count);
}
template <typename T>
HWY_INLINE void store(Floats x, T* to, int64_t count) {
  count >= kLanes ? store(x, to) : store_part(x, to, count);
}

// Calls body(i, count) for every vector of n elements, where `count` is what load and store want: all but the last call
// know at compile time that the vector is full.
struct Full {};
template <typename T>
HWY_INLINE Floats load(const T* from, Full) {
  return load(from);
}
template <typename T>
HWY_INLINE void store(Floats x, T* to, Full) {
  store(x, to);
}
template <typename Body>
HWY_INLINE void each_vector(int64_t n, Body&& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Full());
  if (i < n) body(i, n - i);
}

// p * 2^n for a whole n.
HWY_INLINE Floats times_power_of_two(Floats p, Floats n) {
#if HWY_TARGET == HWY_AVX3
  return Floats{_mm512_maskz_scalef_ps(0xffff, p.raw, n.raw)};
#else
  // A product, not a sum of exponents: NaN has no exponent that a sum would leave alone.
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(kInts, n), hn::Set(kInts, 127)));
  return hn::Mul(p, hn::BitCast(kFloats, power));
#endif
}
// The larger and the smaller of a bound and x, where NaN in x stays NaN: x86 returns its second operand then, but Arm
// and the portable targets, as Highway 1.0.3 uses them, the one that is a number.
HWY_INLINE Floats at_least(Floats bound, Floats x) {
#if HWY_TARGET == HWY_NEON
  return Floats(vmaxq_f32(bound.raw, x.raw));
#elif HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Gt(bound, x), bound, x);
#else
  return hn::Max(bound, x);
#endif
}
HWY_INLINE Floats at_most(Floats bound, Floats x) {
#if HWY_TARGET == HWY_NEON
  return Floats(vminq_f32(bound.raw, x.raw));
#elif HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Lt(bound, x), bound, x);
#else
  return hn::Min(bound, x);
#endif
}
HWY_INLINE Floats clamp_exponent(Floats x) {
  return at_least(hn::Set(kFloats, -87.3f), at_most(hn::Set(kFloats, 88.3f), x));
}

// e^x for x clamped to [-87.3, 88.3]: 2^n times a degree-6 polynomial on [-ln 2 / 2, ln 2 / 2]. Relative error below
// 3e-7; NaN stays NaN.
HWY_INLINE Floats exp(Floats x) {
  x = clamp_exponent(x);
  const auto n = hn::Round(hn::Mul(x, hn::Set(kFloats, 1.44269504f)));
  auto r = hn::NegMulAdd(n, hn::Set(kFloats, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(kFloats, -2.12194440e-4f), r);
  auto p = hn::MulAdd(r, hn::Set(kFloats, 1.0f / 720), hn::Set(kFloats, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f));
  return times_power_of_two(p, n);
}

// 1 / x to the last bit or so; for results kept in bfloat16 an estimate of 14 bits is enough (of 12 it is not: slopes
// multiply its error).
template <typename Stored>
HWY_INLINE Floats reciprocal(Floats x) {
#if HWY_TARGET == HWY_NEON || HWY_TARGET == HWY_SCALAR
  return hn::Div(hn::Set(kFloats, 1.0f), x);
#else
  const auto estimate = hn::ApproximateReciprocal(x);
  if constexpr (HWY_TARGET == HWY_AVX3 && !std::is_same_v<Stored, float>) return estimate;
  return hn::Mul(estimate, hn::NegMulAdd(estimate, x, hn::Set(kFloats, 2.0f)));
#endif
}

// 2^x as exact as bfloat16 can tell, for x up to 127: 2^n times a minimax polynomial on [0, 1), relative error below
// 8e-5. NaN stays NaN, and minus infinity gives zero or 2^-126.
HWY_INLINE Floats short_exp2(Floats x) {
#if HWY_TARGET == HWY_AVX3
  constexpr int kFraction = 0x09;                                           // x - floor(x)
  const Floats r{_mm512_maskz_reduce_ps(0xffff, x.raw, kFraction)}, n = x;  // scalef takes the floor of n
#else
  x = at_least(hn::Set(kFloats, -126.0f), x);
  const auto n = hn::Floor(x), r = hn::Sub(x, n);
#endif
  auto p = hn::MulAdd(r, hn::Set(kFloats, 0.0780245226f), hn::Set(kFloats, 0.2260671556f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 0.6958335405f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 0.9999252185f));
  return times_power_of_two(p, n);
}

inline constexpr float kLog2E = 1.44269504f;
// e^x, as exact as what is Stored can tell.
template <typename Stored>
HWY_INLINE Floats exp_for(Floats x) {
  if constexpr (std::is_same_v<Stored, float>) return exp(x);
  return short_exp2(at_most(hn::Set(kFloats, 127.0f), hn::Mul(x, hn::Set(kFloats, kLog2E))));
}

template <typename Stored = float>
HWY_INLINE Floats sigmoid(Floats x) {
  return reciprocal<Stored>(hn::Add(hn::Set(kFloats, 1.0f), exp_for<Stored>(hn::Neg(x))));
}

// Error below 4e-7 of 1.
HWY_INLINE Floats tanh(Floats x) {
  const auto two = hn::Set(kFloats, 2.0f);
  return hn::MulSub(two, sigmoid(hn::Mul(two, x)), hn::Set(kFloats, 1.0f));
}

// silu(x) = x sigmoid(x).
template <typename Stored = float>
HWY_INLINE Floats silu(Floats x) {
  return hn::Mul(x, sigmoid<Stored>(x));
}
HWY_INLINE Floats silu_slope(Floats value, Floats gate) {
  return hn::MulAdd(value, hn::Sub(hn::Set(kFloats, 1.0f), gate), gate);
}
HWY_INLINE Floats silu_slope(Floats x) {
  const auto gate = sigmoid(x);
  return silu_slope(hn::Mul(x, gate), gate);
}

// GELU, tanh form: 0.5 (1 + tanh u) is sigmoid(2u), the gate that x is multiplied by.
inline constexpr float kGeluLinear = 1.5957691216f;  // 2 sqrt(2 / pi)
inline constexpr float kGeluCubic = 1.5957691216f * 0.044715f;
template <typename Stored = float>
HWY_INLINE Floats gelu_gate(Floats x) {
  const auto inner = hn::MulAdd(hn::Mul(x, x), hn::Set(kFloats, kGeluCubic), hn::Set(kFloats, kGeluLinear));
  return sigmoid<Stored>(hn::Mul(x, inner));
}
template <typename Stored = float>
HWY_INLINE Floats gelu(Floats x) {
  return hn::Mul(x, gelu_gate<Stored>(x));
}
HWY_INLINE Floats gelu_slope(Floats x, Floats gate) {
  const auto du = hn::MulAdd(hn::Mul(x, x), hn::Set(kFloats, 3 * kGeluCubic), hn::Set(kFloats, kGeluLinear));
  const auto bell = hn::NegMulAdd(gate, gate, gate);
  return hn::MulAdd(hn::Mul(x, du), bell, gate);
}
template <typename Stored = float>
HWY_INLINE Floats gelu_slope(Floats x) {
  return gelu_slope(x, gelu_gate<Stored>(x));
}
HWY_INLINE Floats relu_squared(Floats x) {
  const auto positive = at_least(hn::Zero(kFloats), x);
  return hn::Mul(positive, positive);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
