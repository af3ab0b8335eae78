// One pass over rows; statistics of a group are taken again in the backward pass rather than kept.
#include "engine/kernels/gates.h"

#include <cmath>

#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/gates.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/softplus-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// exp clamps, which would hide a rate that is not a number.
HWY_INLINE Floats rate_of(const float* log_rate, int64_t left) {
  const auto x = load(log_rate, left);
  return hn::IfThenElse(hn::IsNaN(x), x, exp(x));
}

inline constexpr float kRootScale = 1.0f / 16, kSigmoidScale = -0.60653066f;  // -e^-0.5

template <typename T>
void forget(const ForgetShape& s, const T* x, const float* bias, const float* rate, float* log_decay, float* beta) {
  for (int64_t token = 0; token < s.tokens; ++token, x += s.input_width(), log_decay += s.width, beta += s.width) {
    for (int64_t i = 0; i < s.width; i += kLanes) {
      const int64_t left = s.width - i;
      const auto z = hn::Add(load(x + i, left), load(bias + i, left));
      Floats decay = hn::Zero(kFloats);
      if (has_rate(s.kind)) {
        const auto step = softplus(z);
        decay = hn::Neg(hn::Mul(rate_of(rate + i, left), step));
        store(s.kind == Forget::kStep ? step : sigmoid(load(x + s.width + i, left)), beta + i, left);
      } else if (s.kind == Forget::kRoot) {
        decay = hn::Mul(hn::Set(kFloats, -kRootScale), softplus(hn::Neg(z)));
      } else {
        decay = hn::Mul(hn::Set(kFloats, kSigmoidScale), sigmoid(z));
      }
      store(decay, log_decay + i, left);
    }
  }
}

template <typename T>
void forget_gradients(const ForgetShape& s, const T* x, const float* bias, const float* rate, const float* dlog_decay,
                      const float* dbeta, T* dx, float* dbias, float* drate) {
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t token = 0; token < s.tokens; ++token) {
    for (int64_t i = 0; i < s.width; i += kLanes) {
      const int64_t left = s.width - i;
      const auto z = hn::Add(load(x + i, left), load(bias + i, left));
      const auto d = load(dlog_decay + i, left), sig = sigmoid(z);
      const auto db = dbeta ? load(dbeta + i, left) : hn::Zero(kFloats);
      Floats dz = hn::Zero(kFloats);
      if (has_rate(s.kind)) {
        const auto change = hn::Neg(hn::Mul(d, rate_of(rate + i, left)));
        store(hn::MulAdd(change, softplus(z), load(drate + i, left)), drate + i, left);
        dz = hn::Mul(sig, s.kind == Forget::kStep ? hn::Add(change, db) : change);
        if (s.kind == Forget::kDelta) {
          const auto open = sigmoid(load(x + s.width + i, left));
          store(hn::Mul(db, hn::NegMulAdd(open, open, open)), dx + s.width + i, left);
        }
      } else if (s.kind == Forget::kRoot) {
        dz = hn::Mul(hn::Mul(hn::Set(kFloats, kRootScale), d), sigmoid(hn::Neg(z)));
      } else {
        dz = hn::Mul(hn::Mul(hn::Set(kFloats, kSigmoidScale), d), hn::Mul(sig, hn::Sub(one, sig)));
      }
      store(dz, dx + i, left);
      store(hn::Add(dz, load(dbias + i, left)), dbias + i, left);
    }
    x += s.input_width();
    dx += s.input_width();
    dlog_decay += s.width;
    if (dbeta) dbeta += s.width;
  }
}

HWY_INLINE float total(Floats x) {
  return hn::GetLane(hn::SumOfLanes(kFloats, x));
}

template <typename T>
float inverse_rms(const GatedNormShape& s, const T* x, const T* gate) {
  Floats squares = hn::Zero(kFloats);
  for (int64_t i = 0; i < s.group_width; i += kLanes) {
    const int64_t left = s.group_width - i;
    Floats n = load(x + i, left);
    if (s.gate_first) n = hn::Mul(n, silu(load(gate + i, left)));
    squares = hn::MulAdd(n, n, squares);
  }
  return 1.0f / std::sqrt(total(squares) / static_cast<float>(s.group_width) + kNormEpsilon);
}

template <typename T>
void gated_norm(const GatedNormShape& s, const T* x, const T* gate, const float* gain, T* y) {
  for (int64_t group = 0; group < s.tokens * s.groups; ++group) {
    const float* g = gain + group % s.groups * s.group_width;
    const auto factor = hn::Set(kFloats, inverse_rms(s, x, gate));
    for (int64_t i = 0; i < s.group_width; i += kLanes) {
      const int64_t left = s.group_width - i;
      const auto gated = hn::Mul(load(x + i, left), silu(load(gate + i, left)));
      store(hn::Mul(hn::Mul(gated, factor), load(g + i, left)), y + i, left);
    }
    x += s.group_width;
    gate += s.group_width;
    y += s.group_width;
  }
}

// With n = x or x silu(gate), r = 1 / rms(n) and e the gradient of n r: dn = r (e - n r mean(e n r)).
template <typename T>
void gated_norm_gradients(const GatedNormShape& s, const T* x, const T* gate, const float* gain, const T* dy, T* dx,
                          T* dgate, float* dgain) {
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t group = 0; group < s.tokens * s.groups; ++group) {
    const int64_t at = group % s.groups * s.group_width;
    const float inverse = inverse_rms(s, x, gate);
    const auto r = hn::Set(kFloats, inverse);
    Floats sum = hn::Zero(kFloats);
    for (int64_t i = 0; i < s.group_width; i += kLanes) {
      const int64_t left = s.group_width - i;
      const auto d = load(dy + i, left), gated = hn::Mul(load(x + i, left), silu(load(gate + i, left)));
      const auto share = hn::Mul(hn::Mul(d, gated), r);
      store(hn::Add(share, load(dgain + at + i, left)), dgain + at + i, left);
      sum = hn::MulAdd(share, load(gain + at + i, left), sum);
    }
    const auto mean = hn::Set(kFloats, total(sum) / static_cast<float>(s.group_width));
    for (int64_t i = 0; i < s.group_width; i += kLanes) {
      const int64_t left = s.group_width - i;
      const auto value = load(x + i, left), z = load(gate + i, left), sig = sigmoid(z), open = hn::Mul(z, sig);
      const auto slope = hn::MulAdd(open, hn::Sub(one, sig), sig);
      const auto d = hn::Mul(load(dy + i, left), load(gain + at + i, left));
      Floats dvalue, dopen;
      if (s.gate_first) {
        const auto normal = hn::Mul(hn::Mul(value, open), r);
        const auto dn = hn::Mul(r, hn::NegMulAdd(normal, mean, d));
        dvalue = hn::Mul(dn, open);
        dopen = hn::Mul(dn, value);
      } else {
        const auto normal = hn::Mul(value, r);
        dvalue = hn::Mul(r, hn::NegMulAdd(normal, mean, hn::Mul(d, open)));
        dopen = hn::Mul(d, normal);
      }
      store(dvalue, dx + i, left);
      store(hn::Mul(dopen, slope), dgate + i, left);
    }
    x += s.group_width;
    gate += s.group_width;
    dy += s.group_width;
    dx += s.group_width;
    dgate += s.group_width;
  }
}

void forget_forward_any(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias,
                        const float* rate, float* log_decay, float* beta) {
  if (dtype == tensor::Dtype::kFloat32) return forget(shape, static_cast<const float*>(x), bias, rate, log_decay, beta);
  forget(shape, static_cast<const tensor::Bf16*>(x), bias, rate, log_decay, beta);
}
void forget_backward_any(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias,
                         const float* rate, const float* dlog_decay, const float* dbeta, void* dx, float* dbias,
                         float* drate) {
  if (dtype == tensor::Dtype::kFloat32) {
    return forget_gradients(shape, static_cast<const float*>(x), bias, rate, dlog_decay, dbeta, static_cast<float*>(dx),
                            dbias, drate);
  }
  forget_gradients(shape, static_cast<const tensor::Bf16*>(x), bias, rate, dlog_decay, dbeta,
                   static_cast<tensor::Bf16*>(dx), dbias, drate);
}
void gated_norm_forward_any(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                            const float* gain, void* y) {
  if (dtype == tensor::Dtype::kFloat32) {
    return gated_norm(shape, static_cast<const float*>(x), static_cast<const float*>(gate), gain,
                      static_cast<float*>(y));
  }
  gated_norm(shape, static_cast<const tensor::Bf16*>(x), static_cast<const tensor::Bf16*>(gate), gain,
             static_cast<tensor::Bf16*>(y));
}
void gated_norm_backward_any(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                             const float* gain, const void* dy, void* dx, void* dgate, float* dgain) {
  if (dtype == tensor::Dtype::kFloat32) {
    return gated_norm_gradients(shape, static_cast<const float*>(x), static_cast<const float*>(gate), gain,
                                static_cast<const float*>(dy), static_cast<float*>(dx), static_cast<float*>(dgate),
                                dgain);
  }
  gated_norm_gradients(shape, static_cast<const tensor::Bf16*>(x), static_cast<const tensor::Bf16*>(gate), gain,
                       static_cast<const tensor::Bf16*>(dy), static_cast<tensor::Bf16*>(dx),
                       static_cast<tensor::Bf16*>(dgate), dgain);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(forget_forward_any);
HWY_EXPORT(forget_backward_any);
HWY_EXPORT(gated_norm_forward_any);
HWY_EXPORT(gated_norm_backward_any);

void forget_forward(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias, const float* rate,
                    float* log_decay, float* beta) {
  HWY_DYNAMIC_DISPATCH(forget_forward_any)(shape, dtype, x, bias, rate, log_decay, beta);
}
void forget_backward(const ForgetShape& shape, tensor::Dtype dtype, const void* x, const float* bias, const float* rate,
                     const float* dlog_decay, const float* dbeta, void* dx, float* dbias, float* drate) {
  HWY_DYNAMIC_DISPATCH(forget_backward_any)
  (shape, dtype, x, bias, rate, dlog_decay, dbeta, dx, dbias, drate);
}
void gated_norm_forward(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                        const float* gain, void* y) {
  HWY_DYNAMIC_DISPATCH(gated_norm_forward_any)(shape, dtype, x, gate, gain, y);
}
void gated_norm_backward(const GatedNormShape& shape, tensor::Dtype dtype, const void* x, const void* gate,
                         const float* gain, const void* dy, void* dx, void* dgate, float* dgain) {
  HWY_DYNAMIC_DISPATCH(gated_norm_backward_any)(shape, dtype, x, gate, gain, dy, dx, dgate, dgain);
}

}  // namespace flywheel::kernels
#endif
