// GELU, ReLU squared, SiLU and the gated pair with their derivatives, computed in float32 whatever the storage.
#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/activation.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
void forward(Activation kind, const T* x, T* y, int64_t n) {
  with_kind(kind, [&](auto known) HWY_ATTR {
    each_vector(
        n, [&](int64_t i, auto count) HWY_ATTR { store(activate<known, T>(load(x + i, count)).value, y + i, count); });
  });
}
template <typename T>
void backward(Activation kind, const T* x, const T* dy, T* dx, int64_t n) {
  with_kind(kind, [&](auto known) HWY_ATTR {
    each_vector(n, [&](int64_t i, auto count) HWY_ATTR {
      store(hn::Mul(load(dy + i, count), activate<known, T>(load(x + i, count)).slope), dx + i, count);
    });
  });
}

template <typename T>
void gated_rows(Activation kind, const T* gate_up, T* y, int64_t m, int64_t f) {
  with_kind(kind, [&](auto known) HWY_ATTR {
    for (int64_t row = 0; row < m; ++row) {
      const T *gate = gate_up + row * 2 * f, *up = gate + f;
      T* to = y + row * f;
      each_vector(f, [&](int64_t i, auto count) HWY_ATTR {
        store(hn::Mul(activate<known, T>(load(gate + i, count)).value, load(up + i, count)), to + i, count);
      });
    }
  });
}
template <typename T>
void gated_rows_backward(Activation kind, const T* gate_up, const T* dy, T* dgate_up, int64_t m, int64_t f) {
  with_kind(kind, [&](auto known) HWY_ATTR {
    for (int64_t row = 0; row < m; ++row) {
      const T *gate = gate_up + row * 2 * f, *up = gate + f, *from = dy + row * f;
      T *dgate = dgate_up + row * 2 * f, *dup = dgate + f;
      each_vector(f, [&](int64_t i, auto count) HWY_ATTR {
        const auto d = load(from + i, count);
        const Activated y = activate<known, T>(load(gate + i, count));
        store(hn::Mul(hn::Mul(d, load(up + i, count)), y.slope), dgate + i, count);
        store(hn::Mul(d, y.value), dup + i, count);
      });
    }
  });
}

void activation_forward_any(Activation kind, const void* x, void* y, tensor::Dtype dtype, int64_t n) {
  if (dtype == tensor::Dtype::kFloat32) return forward(kind, static_cast<const float*>(x), static_cast<float*>(y), n);
  forward(kind, static_cast<const tensor::Bf16*>(x), static_cast<tensor::Bf16*>(y), n);
}
void activation_backward_any(Activation kind, const void* x, const void* dy, void* dx, tensor::Dtype dtype, int64_t n) {
  if (dtype == tensor::Dtype::kFloat32) {
    return backward(kind, static_cast<const float*>(x), static_cast<const float*>(dy), static_cast<float*>(dx), n);
  }
  backward(kind, static_cast<const tensor::Bf16*>(x), static_cast<const tensor::Bf16*>(dy),
           static_cast<tensor::Bf16*>(dx), n);
}
void gated_forward_any(Activation gate, const void* gate_up, void* y, tensor::Dtype dtype, int64_t m, int64_t f) {
  if (dtype == tensor::Dtype::kFloat32) {
    return gated_rows(gate, static_cast<const float*>(gate_up), static_cast<float*>(y), m, f);
  }
  gated_rows(gate, static_cast<const tensor::Bf16*>(gate_up), static_cast<tensor::Bf16*>(y), m, f);
}
void gated_backward_any(Activation gate, const void* gate_up, const void* dy, void* dgate_up, tensor::Dtype dtype,
                        int64_t m, int64_t f) {
  if (dtype == tensor::Dtype::kFloat32) {
    return gated_rows_backward(gate, static_cast<const float*>(gate_up), static_cast<const float*>(dy),
                               static_cast<float*>(dgate_up), m, f);
  }
  gated_rows_backward(gate, static_cast<const tensor::Bf16*>(gate_up), static_cast<const tensor::Bf16*>(dy),
                      static_cast<tensor::Bf16*>(dgate_up), m, f);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(activation_forward_any);
HWY_EXPORT(activation_backward_any);
HWY_EXPORT(gated_forward_any);
HWY_EXPORT(gated_backward_any);

void activation_forward(Activation kind, const void* x, void* y, tensor::Dtype dtype, int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_forward_any)(kind, x, y, dtype, n);
}
void activation_backward(Activation kind, const void* x, const void* dy, void* dx, tensor::Dtype dtype, int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_backward_any)(kind, x, dy, dx, dtype, n);
}
void gated_forward(Activation gate, const void* gate_up, void* y, tensor::Dtype dtype, int64_t m, int64_t f) {
  HWY_DYNAMIC_DISPATCH(gated_forward_any)(gate, gate_up, y, dtype, m, f);
}
void gated_backward(Activation gate, const void* gate_up, const void* dy, void* dgate_up, tensor::Dtype dtype,
                    int64_t m, int64_t f) {
  HWY_DYNAMIC_DISPATCH(gated_backward_any)(gate, gate_up, dy, dgate_up, dtype, m, f);
}

}  // namespace flywheel::kernels
#endif
