// Rows of a token at a time, channels in vectors; a head's statistics are taken again in the backward pass.
#include "engine/kernels/rwkv.h"

#include <cmath>

#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/recurrence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/rwkv.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE float total(Floats x) {
  return hn::GetLane(hn::SumOfLanes(kFloats, x));
}
// Adds lanes to a float32 gradient; lanes beyond `left` are dropped.
HWY_INLINE void accumulate(Floats x, float* to, int64_t left) {
  store(hn::Add(x, load(to, left)), to, left);
}

template <typename T>
void shift(int64_t tokens, int64_t width, const T* h, const T* before, const float* shares, void* const* streams) {
  for (int64_t t = 0; t < tokens; ++t) {
    const T* earlier = t > 0 ? h + (t - 1) * width : before;
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t left = width - c, at = t * width + c;
      const auto now = load(h + at, left);
      const auto change = hn::Sub(earlier ? load(earlier + c, left) : hn::Zero(kFloats), now);
      for (int64_t i = 0; i < kShifts; ++i)
        store(hn::MulAdd(change, load(shares + i * width + c, left), now), static_cast<T*>(streams[i]) + at, left);
    }
  }
}

// What flows into h_t is d_t (1 - share) of its own streams, and d_{t+1} share of the next token's.
template <typename T>
void shift_gradients(int64_t tokens, int64_t width, const T* h, const float* shares, const void* const* dstreams, T* dh,
                     float* dshares) {
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t left = width - c, at = t * width + c;
      const auto earlier = t > 0 ? load(h + at - width, left) : hn::Zero(kFloats);
      const auto change = hn::Sub(earlier, load(h + at, left));
      Floats sum = hn::Zero(kFloats);
      for (int64_t i = 0; i < kShifts; ++i) {
        if (!dstreams[i]) continue;
        const T* d = static_cast<const T*>(dstreams[i]) + at;
        const auto share = load(shares + i * width + c, left), own = load(d, left);
        sum = hn::Add(sum, hn::NegMulAdd(share, own, own));
        if (t + 1 < tokens) sum = hn::MulAdd(share, load(d + width, left), sum);
        accumulate(hn::Mul(own, change), dshares + i * width + c, left);
      }
      store(sum, dh + at, left);
    }
  }
}

template <typename T>
void squash(Squash kind, const T* x, T* y, int64_t n) {
  const auto one = hn::Set(kFloats, 1.0f), two = hn::Set(kFloats, 2.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto value = load(x + i, n - i);
    const auto result = kind == Squash::kSigmoid ? sigmoid(value) : hn::MulSub(two, sigmoid(hn::Mul(two, value)), one);
    store(result, y + i, n - i);
  }
}
template <typename T>
void squash_gradients(Squash kind, const T* y, const T* dy, T* dx, int64_t n) {
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto value = load(y + i, n - i);
    const auto slope = kind == Squash::kSigmoid ? hn::NegMulAdd(value, value, value) : hn::NegMulAdd(value, value, one);
    store(hn::Mul(slope, load(dy + i, n - i)), dx + i, n - i);
  }
}

template <typename T>
const T* at(const void* data, int64_t index) {
  return static_cast<const T*>(data) + index;
}
template <typename T>
T* at(void* data, int64_t index) {
  return static_cast<T*>(data) + index;
}

// 1 / |k * removal| of one head.
template <typename T>
float unit_factor(const T* k, const float* removal, int64_t n) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t c = 0; c < n; c += kLanes) {
    const auto u = hn::Mul(load(k + c, n - c), load(removal + c, n - c));
    sum = hn::MulAdd(u, u, sum);
  }
  return 1.0f / std::sqrt(total(sum) + kUnitEpsilon);
}

template <typename T>
void copy(const T* from, int64_t n, T* to) {
  std::copy_n(from, n, to);
}

template <typename T>
void keys_forward(const RwkvShape& s, const RwkvKeys& in, T* qkv, T* ab) {
  const int64_t n = s.keys(), dim = s.key_dim;
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t t = 0; t < s.tokens; ++t, qkv += s.qkv_width(), ab += 2 * n) {
    copy(at<T>(in.receptance, t * n), n, qkv);
    copy(at<T>(in.value, t * s.values()), s.values(), qkv + 2 * n);
    for (int64_t head = 0; head < n; head += dim) {
      const T *k = at<T>(in.key, t * n + head), *rate = at<T>(in.rate, t * n + head);
      const auto factor = hn::Set(kFloats, unit_factor(k, in.removal + head, dim));
      for (int64_t i = 0; i < dim; i += kLanes) {
        const int64_t left = dim - i, c = head + i;
        const auto key = load(k + i, left), r = sigmoid(hn::Add(load(rate + i, left), load(in.rate_bias + c, left)));
        const auto u = hn::Mul(hn::Mul(key, load(in.removal + c, left)), factor);
        const auto kept = hn::MulAdd(hn::Sub(r, one), load(in.replacement + c, left), one);
        store(hn::Mul(key, kept), qkv + n + c, left);
        store(hn::Neg(u), ab + c, left);
        store(hn::Mul(u, r), ab + n + c, left);
      }
    }
  }
}

template <typename T>
void keys_backward(const RwkvShape& s, const RwkvKeys& in, const T* dqkv, const T* dab, const RwkvKeyGradients& out) {
  const int64_t n = s.keys(), dim = s.key_dim;
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t t = 0; t < s.tokens; ++t, dqkv += s.qkv_width(), dab += 2 * n) {
    copy(dqkv, n, at<T>(out.receptance, t * n));
    copy(dqkv + 2 * n, s.values(), at<T>(out.value, t * s.values()));
    for (int64_t head = 0; head < n; head += dim) {
      const T *k = at<T>(in.key, t * n + head), *rate = at<T>(in.rate, t * n + head);
      T *dk = at<T>(out.key, t * n + head), *drate = at<T>(out.rate, t * n + head);
      const float scale = unit_factor(k, in.removal + head, dim);
      const auto factor = hn::Set(kFloats, scale);
      const auto rate_of = [&](int64_t i) {
        return sigmoid(hn::Add(load(rate + i, dim - i), load(in.rate_bias + head + i, dim - i)));
      };
      // Gradient of u: -da + db r; along u itself nothing passes the length.
      const auto du_of = [&](int64_t i, Floats r) {
        return hn::MulSub(load(dab + n + head + i, dim - i), r, load(dab + head + i, dim - i));
      };
      Floats along = hn::Zero(kFloats);
      for (int64_t i = 0; i < dim; i += kLanes) {
        const auto raw = hn::Mul(load(k + i, dim - i), load(in.removal + head + i, dim - i));
        along = hn::MulAdd(raw, du_of(i, rate_of(i)), along);
      }
      const auto dot = hn::Set(kFloats, total(along) * scale * scale);
      for (int64_t i = 0; i < dim; i += kLanes) {
        const int64_t left = dim - i, c = head + i;
        const auto key = load(k + i, left), r = rate_of(i), removal = load(in.removal + c, left);
        const auto replacement = load(in.replacement + c, left), raw = hn::Mul(key, removal);
        const auto draw = hn::Mul(factor, hn::NegMulAdd(dot, raw, du_of(i, r)));
        const auto dkept = hn::Mul(load(dqkv + n + c, left), key);  // of 1 + (r - 1) replacement
        const auto kept = hn::MulAdd(hn::Sub(r, one), replacement, one);
        const auto u = hn::Mul(raw, factor);
        const auto dr = hn::MulAdd(dkept, replacement, hn::Mul(load(dab + n + c, left), u));
        const auto dz = hn::Mul(dr, hn::NegMulAdd(r, r, r));
        store(hn::MulAdd(draw, removal, hn::Mul(load(dqkv + n + c, left), kept)), dk + i, left);
        store(dz, drate + i, left);
        accumulate(dz, out.rate_bias + c, left);
        accumulate(hn::Mul(draw, key), out.removal + c, left);
        accumulate(hn::Mul(dkept, hn::Sub(r, one)), out.replacement + c, left);
      }
    }
  }
}

// Mean and inverse deviation of one head's outputs.
struct Statistics {
  float mean, inverse;
};
template <typename T>
Statistics statistics_of(const T* x, int64_t n) {
  Floats sum = hn::Zero(kFloats), squares = hn::Zero(kFloats);
  for (int64_t i = 0; i < n; i += kLanes) sum = hn::Add(sum, load(x + i, n - i));
  const float mean = total(sum) / static_cast<float>(n);
  for (int64_t i = 0; i < n; i += kLanes) {
    Floats centred = hn::Sub(load(x + i, n - i), hn::Set(kFloats, mean));
    if (n - i < kLanes) centred = hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<size_t>(n - i)), centred);
    squares = hn::MulAdd(centred, centred, squares);
  }
  return {mean, 1.0f / std::sqrt(total(squares) / static_cast<float>(n) + kRwkvNormEpsilon)};
}

// Sum over a head's keys of q bonus k.
template <typename T>
float bonus_of(const T* q, const T* k, const float* bonus, int64_t n) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t c = 0; c < n; c += kLanes)
    sum = hn::MulAdd(hn::Mul(load(q + c, n - c), load(k + c, n - c)), load(bonus + c, n - c), sum);
  return total(sum);
}

template <typename T>
void output_forward(const RwkvShape& s, const RwkvOutput& in, T* y) {
  for (int64_t t = 0; t < s.tokens; ++t) {
    const T* row = at<T>(in.qkv, t * s.qkv_width());
    for (int64_t head = 0; head < s.heads; ++head) {
      const int64_t key = head * s.key_dim, value = head * s.value_dim, first = t * s.values() + value;
      const T *x = at<T>(in.mixed, first), *gate = at<T>(in.gate, first), *v = row + 2 * s.keys() + value;
      const Statistics statistics = statistics_of(x, s.value_dim);
      const auto mean = hn::Set(kFloats, statistics.mean), inverse = hn::Set(kFloats, statistics.inverse);
      const auto bonus = hn::Set(kFloats, bonus_of(row + key, row + s.keys() + key, in.bonus + key, s.key_dim));
      for (int64_t i = 0; i < s.value_dim; i += kLanes) {
        const int64_t left = s.value_dim - i;
        const auto normal = hn::Mul(hn::Sub(load(x + i, left), mean), inverse);
        const auto scaled = hn::MulAdd(normal, load(in.gain + value + i, left), load(in.bias + value + i, left));
        const auto sum = hn::MulAdd(bonus, load(v + i, left), scaled);
        store(hn::Mul(sum, load(gate + i, left)), y + first + i, left);
      }
    }
  }
}

template <typename T>
void output_backward(const RwkvShape& s, const RwkvOutput& in, const T* dy, const RwkvOutputGradients& out) {
  const float inverse_n = 1.0f / static_cast<float>(s.value_dim);
  for (int64_t t = 0; t < s.tokens; ++t) {
    const T* row = at<T>(in.qkv, t * s.qkv_width());
    T* drow = at<T>(out.qkv, t * s.qkv_width());
    for (int64_t head = 0; head < s.heads; ++head) {
      const int64_t key = head * s.key_dim, value = head * s.value_dim, first = t * s.values() + value;
      const T *x = at<T>(in.mixed, first), *gate = at<T>(in.gate, first), *v = row + 2 * s.keys() + value;
      const T *q = row + key, *k = q + s.keys(), *d = dy + first;
      const Statistics statistics = statistics_of(x, s.value_dim);
      const auto mean = hn::Set(kFloats, statistics.mean), inverse = hn::Set(kFloats, statistics.inverse);
      const auto bonus = hn::Set(kFloats, bonus_of(q, k, in.bonus + key, s.key_dim));
      Floats sum = hn::Zero(kFloats), dot = hn::Zero(kFloats), dbonus = hn::Zero(kFloats);
      for (int64_t i = 0; i < s.value_dim; i += kLanes) {  // lanes beyond the head have d = 0
        const int64_t left = s.value_dim - i;
        const auto normal = hn::Mul(hn::Sub(load(x + i, left), mean), inverse);
        const auto opened = hn::Mul(load(d + i, left), load(gate + i, left)), own = load(v + i, left);
        const auto gain = load(in.gain + value + i, left), dnormal = hn::Mul(opened, gain);
        const auto whole = hn::MulAdd(bonus, own, hn::MulAdd(normal, gain, load(in.bias + value + i, left)));
        store(hn::Mul(load(d + i, left), whole), at<T>(out.gate, first + i), left);
        store(hn::Mul(bonus, opened), drow + 2 * s.keys() + value + i, left);
        accumulate(hn::Mul(opened, normal), out.gain + value + i, left);
        accumulate(opened, out.bias + value + i, left);
        sum = hn::Add(sum, dnormal);
        dot = hn::MulAdd(dnormal, normal, dot);
        dbonus = hn::MulAdd(opened, own, dbonus);
      }
      const auto mean_d = hn::Set(kFloats, total(sum) * inverse_n), mean_dot = hn::Set(kFloats, total(dot) * inverse_n);
      for (int64_t i = 0; i < s.value_dim; i += kLanes) {
        const int64_t left = s.value_dim - i;
        const auto normal = hn::Mul(hn::Sub(load(x + i, left), mean), inverse);
        const auto dnormal = hn::Mul(hn::Mul(load(d + i, left), load(gate + i, left)), load(in.gain + value + i, left));
        const auto centred = hn::NegMulAdd(normal, mean_dot, hn::Sub(dnormal, mean_d));
        store(hn::Mul(inverse, centred), at<T>(out.mixed, first + i), left);
      }
      const auto db = hn::Set(kFloats, total(dbonus));
      for (int64_t i = 0; i < s.key_dim; i += kLanes) {
        const int64_t left = s.key_dim - i;
        const auto a = load(q + i, left), c = load(k + i, left), weight = load(in.bonus + key + i, left);
        store(hn::Mul(hn::Mul(db, c), weight), drow + key + i, left);
        store(hn::Mul(hn::Mul(db, a), weight), drow + s.keys() + key + i, left);
        accumulate(hn::Mul(hn::Mul(db, a), c), out.bonus + key + i, left);
      }
    }
  }
}

// Each kernel by dtype.
void shift_any(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const void* before,
               const float* shares, void* const* streams) {
  if (dtype == tensor::Dtype::kFloat32)
    return shift(tokens, width, at<float>(h, 0), static_cast<const float*>(before), shares, streams);
  shift(tokens, width, at<tensor::Bf16>(h, 0), static_cast<const tensor::Bf16*>(before), shares, streams);
}
void shift_gradients_any(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const float* shares,
                         const void* const* dstreams, void* dh, float* dshares) {
  if (dtype == tensor::Dtype::kFloat32)
    return shift_gradients(tokens, width, at<float>(h, 0), shares, dstreams, at<float>(dh, 0), dshares);
  shift_gradients(tokens, width, at<tensor::Bf16>(h, 0), shares, dstreams, at<tensor::Bf16>(dh, 0), dshares);
}
void squash_any(Squash kind, tensor::Dtype dtype, const void* x, void* y, int64_t n) {
  if (dtype == tensor::Dtype::kFloat32) return squash(kind, at<float>(x, 0), at<float>(y, 0), n);
  squash(kind, at<tensor::Bf16>(x, 0), at<tensor::Bf16>(y, 0), n);
}
void squash_gradients_any(Squash kind, tensor::Dtype dtype, const void* y, const void* dy, void* dx, int64_t n) {
  if (dtype == tensor::Dtype::kFloat32)
    return squash_gradients(kind, at<float>(y, 0), at<float>(dy, 0), at<float>(dx, 0), n);
  squash_gradients(kind, at<tensor::Bf16>(y, 0), at<tensor::Bf16>(dy, 0), at<tensor::Bf16>(dx, 0), n);
}
void keys_forward_any(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, void* qkv, void* ab) {
  if (dtype == tensor::Dtype::kFloat32) return keys_forward(shape, inputs, at<float>(qkv, 0), at<float>(ab, 0));
  keys_forward(shape, inputs, at<tensor::Bf16>(qkv, 0), at<tensor::Bf16>(ab, 0));
}
void keys_backward_any(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, const void* dqkv,
                       const void* dab, const RwkvKeyGradients& gradients) {
  if (dtype == tensor::Dtype::kFloat32)
    return keys_backward(shape, inputs, at<float>(dqkv, 0), at<float>(dab, 0), gradients);
  keys_backward(shape, inputs, at<tensor::Bf16>(dqkv, 0), at<tensor::Bf16>(dab, 0), gradients);
}
void output_forward_any(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, void* y) {
  if (dtype == tensor::Dtype::kFloat32) return output_forward(shape, inputs, at<float>(y, 0));
  output_forward(shape, inputs, at<tensor::Bf16>(y, 0));
}
void output_backward_any(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, const void* dy,
                         const RwkvOutputGradients& gradients) {
  if (dtype == tensor::Dtype::kFloat32) return output_backward(shape, inputs, at<float>(dy, 0), gradients);
  output_backward(shape, inputs, at<tensor::Bf16>(dy, 0), gradients);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(shift_any);
HWY_EXPORT(shift_gradients_any);
HWY_EXPORT(squash_any);
HWY_EXPORT(squash_gradients_any);
HWY_EXPORT(keys_forward_any);
HWY_EXPORT(keys_backward_any);
HWY_EXPORT(output_forward_any);
HWY_EXPORT(output_backward_any);

void token_shift_forward(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const void* before,
                         const float* shares, void* const* streams) {
  HWY_DYNAMIC_DISPATCH(shift_any)(tokens, width, dtype, h, before, shares, streams);
}
void token_shift_backward(int64_t tokens, int64_t width, tensor::Dtype dtype, const void* h, const float* shares,
                          const void* const* dstreams, void* dh, float* dshares) {
  HWY_DYNAMIC_DISPATCH(shift_gradients_any)(tokens, width, dtype, h, shares, dstreams, dh, dshares);
}
void squash_forward(Squash kind, tensor::Dtype dtype, const void* x, void* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(squash_any)(kind, dtype, x, y, n);
}
void squash_backward(Squash kind, tensor::Dtype dtype, const void* y, const void* dy, void* dx, int64_t n) {
  HWY_DYNAMIC_DISPATCH(squash_gradients_any)(kind, dtype, y, dy, dx, n);
}
void rwkv_keys_forward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, void* qkv, void* ab) {
  HWY_DYNAMIC_DISPATCH(keys_forward_any)(shape, dtype, inputs, qkv, ab);
}
void rwkv_keys_backward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvKeys& inputs, const void* dqkv,
                        const void* dab, const RwkvKeyGradients& gradients) {
  HWY_DYNAMIC_DISPATCH(keys_backward_any)(shape, dtype, inputs, dqkv, dab, gradients);
}
void rwkv_output_forward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, void* y) {
  HWY_DYNAMIC_DISPATCH(output_forward_any)(shape, dtype, inputs, y);
}
void rwkv_output_backward(const RwkvShape& shape, tensor::Dtype dtype, const RwkvOutput& inputs, const void* dy,
                          const RwkvOutputGradients& gradients) {
  HWY_DYNAMIC_DISPATCH(output_backward_any)(shape, dtype, inputs, dy, gradients);
}

}  // namespace flywheel::kernels
#endif
