// Exact first and second derivatives with respect to a form's parameters, for several runs at once: a Jet carries the
// value, the gradient and the Hessian of an expression through its operators (forward mode; Griewank and Walther 2008,
// chapter 13). Why: a form is then its formula and nothing else, and no derivative can be wrong. Which parameters an
// expression knows, and whether it is linear in them, is part of its type, so that nothing is computed for the others.
// Included once per Highway target.
#if defined(FLYWHEEL_SCALING_JET_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_SCALING_JET_INL_H_
#undef FLYWHEEL_SCALING_JET_INL_H_
#else
#define FLYWHEEL_SCALING_JET_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstddef>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace flywheel::scaling::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<double>;
using Lanes = hn::Vec<Tag>;
inline constexpr Tag kDoubles{};
inline constexpr size_t kLanes = hn::MaxLanes(Tag());

HWY_INLINE Lanes splat(double x) {
  return hn::Set(kDoubles, x);
}

// Highway's, kept to their domains: no argument gives garbage. Not inlined, for the sake of the size of the code.
HWY_NOINLINE Lanes exp_of(Lanes x) {
  return hn::Exp(kDoubles, hn::Min(x, splat(700)));
}
HWY_NOINLINE Lanes log_of(Lanes x) {
  return hn::IfThenElse(hn::Gt(x, hn::Zero(kDoubles)), hn::Log(kDoubles, x), splat(NAN));
}

// e^x - 1 and ln(1 + x), exact near 0.
HWY_NOINLINE Lanes expm1_of(Lanes x) {
  return hn::Expm1(kDoubles, hn::Min(x, splat(700)));
}
HWY_NOINLINE Lanes log1p_of(Lanes x) {
  return hn::IfThenElse(hn::Gt(x, splat(-1)), hn::Log1p(kDoubles, x), splat(NAN));
}

// Place of (a, b), a <= b, in a packed upper triangle of K parameters.
constexpr int packed(int K, int a, int b) {
  return a * K - a * (a - 1) / 2 + b - a;
}
constexpr bool has(unsigned knows, int a) {
  return (knows >> a & 1u) != 0;
}

// K parameters; bit a of kKnows: depends on parameter a. kLinear: the Hessian is zero and not stored.
template <int K, unsigned kKnows, bool kLinear>
struct Jet {
  static constexpr unsigned knows = kKnows;
  static constexpr bool linear = kLinear;
  Lanes value;
  Lanes slope[K];                             // set where kKnows has the bit
  Lanes bend[kLinear ? 1 : K * (K + 1) / 2];  // packed; set where kKnows has both bits, unless linear
  HWY_INLINE Lanes slope_at(int a) const { return has(kKnows, a) ? slope[a] : hn::Zero(kDoubles); }
  HWY_INLINE Lanes bend_at(int a, int b) const {
    return !kLinear && has(kKnows, a) && has(kKnows, b) ? bend[packed(K, a, b)] : hn::Zero(kDoubles);
  }
};

template <int K, unsigned kParameter>
HWY_INLINE Jet<K, 1u << kParameter, true> variable(double x) {
  Jet<K, 1u << kParameter, true> jet;
  jet.value = splat(x);
  jet.slope[kParameter] = splat(1);
  return jet;
}

template <int K>
HWY_INLINE Jet<K, 0, true> constant(Lanes x) {
  Jet<K, 0, true> jet;
  jet.value = x;
  return jet;
}

// z = f(x, y) from f, its slopes fx and fy; kBends: fxy = 1, else f is linear.
template <bool kBends, int K, unsigned M, bool L, unsigned M2, bool L2>
HWY_INLINE auto combine(const Jet<K, M, L>& x, const Jet<K, M2, L2>& y, Lanes f, Lanes fx, Lanes fy) {
  constexpr unsigned kAll = M | M2;
  Jet<K, kAll, L && L2 && !kBends> z;
  z.value = f;
#pragma GCC unroll 8
  for (int a = 0; a < K; ++a) {
    if (!has(kAll, a)) continue;
    if (!has(M2, a))
      z.slope[a] = hn::Mul(fx, x.slope_at(a));
    else if (!has(M, a))
      z.slope[a] = hn::Mul(fy, y.slope_at(a));
    else
      z.slope[a] = hn::MulAdd(fx, x.slope_at(a), hn::Mul(fy, y.slope_at(a)));
    if constexpr (!z.linear) {
#pragma GCC unroll 8
      for (int b = a; b < K; ++b) {
        if (!has(kAll, b)) continue;
        Lanes bend = hn::Zero(kDoubles);
        if (!L && has(M, a) && has(M, b)) bend = hn::Mul(fx, x.bend_at(a, b));
        if (!L2 && has(M2, a) && has(M2, b)) bend = hn::MulAdd(fy, y.bend_at(a, b), bend);
        if (kBends && has(M, a) && has(M2, b)) bend = hn::MulAdd(x.slope_at(a), y.slope_at(b), bend);
        if (kBends && has(M, b) && has(M2, a)) bend = hn::MulAdd(x.slope_at(b), y.slope_at(a), bend);
        z.bend[packed(K, a, b)] = bend;
      }
    }
  }
  return z;
}

// f(x) from f, f' and f'' at x.value; f'' = 0 with kBends false.
template <bool kBends, int K, unsigned M, bool L>
HWY_INLINE auto chain(const Jet<K, M, L>& x, Lanes f, Lanes first, Lanes second) {
  Jet<K, M, (L && !kBends) || M == 0> y;
  y.value = f;
#pragma GCC unroll 8
  for (int a = 0; a < K; ++a) {
    if (!has(M, a)) continue;
    y.slope[a] = hn::Mul(first, x.slope[a]);
    if constexpr (!y.linear) {
#pragma GCC unroll 8
      for (int b = a; b < K; ++b) {
        if (!has(M, b)) continue;
        Lanes bend = hn::Zero(kDoubles);
        if (kBends) bend = hn::Mul(second, hn::Mul(x.slope[a], x.slope[b]));
        if (!L) bend = hn::MulAdd(first, x.bend_at(a, b), bend);
        y.bend[packed(K, a, b)] = bend;
      }
    }
  }
  return y;
}

template <int K, unsigned M, bool L>
HWY_INLINE auto operator*(const Jet<K, M, L>& x, Lanes factor) {
  return chain<false>(x, hn::Mul(x.value, factor), factor, factor);
}
template <int K, unsigned M, bool L>
HWY_INLINE auto operator-(const Jet<K, M, L>& x) {
  return x * splat(-1);
}
template <int K, unsigned M, bool L>
HWY_INLINE auto operator+(const Jet<K, M, L>& x, Lanes offset) {
  Jet<K, M, L> y = x;
  y.value = hn::Add(x.value, offset);
  return y;
}
template <int K, unsigned M, bool L, unsigned M2, bool L2>
HWY_INLINE auto operator+(const Jet<K, M, L>& x, const Jet<K, M2, L2>& y) {
  return combine<false>(x, y, hn::Add(x.value, y.value), splat(1), splat(1));
}
template <int K, unsigned M, bool L, unsigned M2, bool L2>
HWY_INLINE auto operator-(const Jet<K, M, L>& x, const Jet<K, M2, L2>& y) {
  return combine<false>(x, y, hn::Sub(x.value, y.value), splat(1), splat(-1));
}
template <int K, unsigned M, bool L, unsigned M2, bool L2>
HWY_INLINE auto operator*(const Jet<K, M, L>& x, const Jet<K, M2, L2>& y) {
  return combine<true>(x, y, hn::Mul(x.value, y.value), y.value, x.value);
}
template <int K, unsigned M, bool L>
HWY_INLINE auto exp(const Jet<K, M, L>& x) {
  const Lanes e = exp_of(x.value);
  return chain<true>(x, e, e, e);
}
template <int K, unsigned M, bool L>
HWY_INLINE auto log(const Jet<K, M, L>& x) {
  const Lanes inverse = hn::Div(splat(1), x.value);
  return chain<true>(x, log_of(x.value), inverse, hn::Neg(hn::Mul(inverse, inverse)));
}
template <int K, unsigned M, bool L>
HWY_INLINE auto expm1(const Jet<K, M, L>& x) {
  const Lanes less_one = expm1_of(x.value), e = hn::Add(less_one, splat(1));
  return chain<true>(x, less_one, e, e);
}
template <int K, unsigned M, bool L>
HWY_INLINE auto log1p(const Jet<K, M, L>& x) {
  const Lanes inverse = hn::Div(splat(1), hn::Add(x.value, splat(1)));
  return chain<true>(x, log1p_of(x.value), inverse, hn::Neg(hn::Mul(inverse, inverse)));
}
// The smaller of both, lane by lane; at a tie, x.
template <int K, unsigned M, bool L, unsigned M2, bool L2>
HWY_INLINE auto smaller(const Jet<K, M, L>& x, const Jet<K, M2, L2>& y) {
  const auto first = hn::Le(x.value, y.value);
  const Lanes fx = hn::IfThenElseZero(first, splat(1)), fy = hn::IfThenZeroElse(first, splat(1));
  return combine<false>(x, y, hn::IfThenElse(first, x.value, y.value), fx, fy);
}

// ln(e^x + e^y + ..), without overflow: the slope is the mean of the terms' slopes by their shares, the bend their
// covariance and the mean of their bends.
template <int K, unsigned... M, bool... L>
HWY_INLINE auto log_sum_exp(const Jet<K, M, L>&... terms) {
  constexpr unsigned kAll = (M | ...);
  Lanes top = splat(-INFINITY), total = hn::Zero(kDoubles);
  ((top = hn::Max(terms.value, top)), ...);
  Lanes share[sizeof...(terms)];
  int t = 0;
  ((share[t] = exp_of(hn::Sub(terms.value, top)), total = hn::Add(total, share[t++])), ...);
  Jet<K, kAll, kAll == 0> z;
  z.value = hn::Add(top, log_of(total));
  if constexpr (kAll != 0) {
    const Lanes inverse = hn::Div(splat(1), total);
    for (Lanes& one : share) one = hn::Mul(one, inverse);
#pragma GCC unroll 8
    for (int a = 0; a < K; ++a) {
      if (!has(kAll, a)) continue;
      Lanes slope = hn::Zero(kDoubles);
      t = 0;
      ((slope = has(M, a) ? hn::MulAdd(share[t], terms.slope_at(a), slope) : slope, ++t), ...);
      z.slope[a] = slope;
    }
#pragma GCC unroll 8
    for (int a = 0; a < K; ++a) {
#pragma GCC unroll 8
      for (int b = a; b < K; ++b) {
        if (!has(kAll, a) || !has(kAll, b)) continue;
        Lanes bend = hn::Neg(hn::Mul(z.slope[a], z.slope[b]));
        t = 0;
        ((bend = has(M, a) && has(M, b)
                     ? hn::MulAdd(share[t], hn::MulAdd(terms.slope_at(a), terms.slope_at(b), terms.bend_at(a, b)), bend)
                     : bend,
          ++t),
         ...);
        z.bend[packed(K, a, b)] = bend;
      }
    }
  }
  return z;
}

}  // namespace flywheel::scaling::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
