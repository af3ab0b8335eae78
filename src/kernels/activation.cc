// GELU, ReLU squared, SiLU and the gated pair with their derivatives, computed in float32 whatever the storage.
#include "kernels/elementwise.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE Floats value_of(Activation kind, Floats x) {
  if (kind == Activation::kGelu) return gelu(x);
  if (kind == Activation::kSilu) return silu(x);
  return kind == Activation::kReluSquared ? relu_squared(x) : x;
}
HWY_INLINE Floats slope_of(Activation kind, Floats x) {
  if (kind == Activation::kGelu) return gelu_slope(x);
  if (kind == Activation::kSilu) return silu_slope(x);
  if (kind == Activation::kNone) return hn::Set(kFloats, 1.0f);
  return hn::Mul(hn::Max(hn::Zero(kFloats), x), hn::Set(kFloats, 2.0f));
}

template <typename T>
void forward(Activation kind, const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(value_of(kind, load(x + i, n - i)), y + i, n - i);
}
template <typename T>
void backward(Activation kind, const T* x, const T* dy, T* dx, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    store(hn::Mul(load(dy + i, n - i), slope_of(kind, load(x + i, n - i))), dx + i, n - i);
  }
}

// silu and its slope share a sigmoid.
struct SiluGate {
  static HWY_INLINE Floats value(Floats x) { return silu(x); }
  static HWY_INLINE void value_and_slope(Floats x, Floats& value, Floats& slope) {
    const auto s = sigmoid(x);
    value = hn::Mul(x, s);
    slope = hn::MulAdd(value, hn::Sub(hn::Set(kFloats, 1.0f), s), s);
  }
};
struct GeluGate {
  static HWY_INLINE Floats value(Floats x) { return gelu(x); }
  static HWY_INLINE void value_and_slope(Floats x, Floats& value, Floats& slope) {
    value = gelu(x);
    slope = gelu_slope(x);
  }
};

template <typename Gate, typename T>
void gated_rows(const T* gate_up, T* y, int64_t m, int64_t f) {
  for (int64_t row = 0; row < m; ++row, gate_up += 2 * f, y += f) {
    for (int64_t i = 0; i < f; i += kLanes) {
      const auto gate = load(gate_up + i, f - i), up = load(gate_up + f + i, f - i);
      store(hn::Mul(Gate::value(gate), up), y + i, f - i);
    }
  }
}
template <typename Gate, typename T>
void gated_rows_backward(const T* gate_up, const T* dy, T* dgate_up, int64_t m, int64_t f) {
  for (int64_t row = 0; row < m; ++row, gate_up += 2 * f, dgate_up += 2 * f, dy += f) {
    for (int64_t i = 0; i < f; i += kLanes) {
      const auto gate = load(gate_up + i, f - i), up = load(gate_up + f + i, f - i), d = load(dy + i, f - i);
      Floats value, slope;
      Gate::value_and_slope(gate, value, slope);
      store(hn::Mul(hn::Mul(d, up), slope), dgate_up + i, f - i);
      store(hn::Mul(d, value), dgate_up + f + i, f - i);
    }
  }
}
template <typename T>
void gated_as(Activation gate, const T* gate_up, T* y, int64_t m, int64_t f) {
  if (gate == Activation::kGelu) return gated_rows<GeluGate>(gate_up, y, m, f);
  gated_rows<SiluGate>(gate_up, y, m, f);
}
template <typename T>
void gated_backward_as(Activation gate, const T* gate_up, const T* dy, T* dgate_up, int64_t m, int64_t f) {
  if (gate == Activation::kGelu) return gated_rows_backward<GeluGate>(gate_up, dy, dgate_up, m, f);
  gated_rows_backward<SiluGate>(gate_up, dy, dgate_up, m, f);
}

void activation_forward_any(Activation kind, const void* x, void* y, Dtype dtype, int64_t n) {
  if (dtype == Dtype::kFloat32) return forward(kind, static_cast<const float*>(x), static_cast<float*>(y), n);
  forward(kind, static_cast<const Bf16*>(x), static_cast<Bf16*>(y), n);
}
void activation_backward_any(Activation kind, const void* x, const void* dy, void* dx, Dtype dtype, int64_t n) {
  if (dtype == Dtype::kFloat32) {
    return backward(kind, static_cast<const float*>(x), static_cast<const float*>(dy), static_cast<float*>(dx), n);
  }
  backward(kind, static_cast<const Bf16*>(x), static_cast<const Bf16*>(dy), static_cast<Bf16*>(dx), n);
}
void gated_forward_any(Activation gate, const void* gate_up, void* y, Dtype dtype, int64_t m, int64_t f) {
  if (dtype == Dtype::kFloat32) {
    return gated_as(gate, static_cast<const float*>(gate_up), static_cast<float*>(y), m, f);
  }
  gated_as(gate, static_cast<const Bf16*>(gate_up), static_cast<Bf16*>(y), m, f);
}
void gated_backward_any(Activation gate, const void* gate_up, const void* dy, void* dgate_up, Dtype dtype, int64_t m,
                        int64_t f) {
  if (dtype == Dtype::kFloat32) {
    return gated_backward_as(gate, static_cast<const float*>(gate_up), static_cast<const float*>(dy),
                             static_cast<float*>(dgate_up), m, f);
  }
  gated_backward_as(gate, static_cast<const Bf16*>(gate_up), static_cast<const Bf16*>(dy), static_cast<Bf16*>(dgate_up),
                    m, f);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(activation_forward_any);
HWY_EXPORT(activation_backward_any);
HWY_EXPORT(gated_forward_any);
HWY_EXPORT(gated_backward_any);

void activation_forward(Activation kind, const void* x, void* y, Dtype dtype, int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_forward_any)(kind, x, y, dtype, n);
}
void activation_backward(Activation kind, const void* x, const void* dy, void* dx, Dtype dtype, int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_backward_any)(kind, x, dy, dx, dtype, n);
}
void gated_forward(Activation gate, const void* gate_up, void* y, Dtype dtype, int64_t m, int64_t f) {
  HWY_DYNAMIC_DISPATCH(gated_forward_any)(gate, gate_up, y, dtype, m, f);
}
void gated_backward(Activation gate, const void* gate_up, const void* dy, void* dgate_up, Dtype dtype, int64_t m,
                    int64_t f) {
  HWY_DYNAMIC_DISPATCH(gated_backward_any)(gate, gate_up, dy, dgate_up, dtype, m, f);
}

}  // namespace flywheel::kernels
#endif
