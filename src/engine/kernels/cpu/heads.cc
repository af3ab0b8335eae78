// Gates, value residuals and latent keys: loops over rows that are bound by memory.
#include "engine/kernels/heads.h"

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/heads.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
struct Heads {
  static void gate(const T* x, const T* gate, T* y, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) {
      store(hn::Mul(load(x + i, n - i), sigmoid(load(gate + i, n - i))), y + i, n - i);
    }
  }

  static void gate_back(const T* x, const T* gate, const T* dy, T* dx, T* dgate, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) {
      const auto open = sigmoid(load(gate + i, n - i)), d = load(dy + i, n - i);
      const auto slope = hn::NegMulAdd(open, open, open);
      store(hn::Mul(hn::Mul(d, load(x + i, n - i)), slope), dgate + i, n - i);
      store(hn::Mul(d, open), dx + i, n - i);
    }
  }

  static void mix(const ValueShape& s, const T* qkv, const T* first, float share, T* mixed) {
    const auto part = hn::Set(kFloats, share);
    for (int64_t t = 0; t < s.tokens; ++t, qkv += s.width, mixed += s.width, first += s.values) {
      const int64_t start = s.width - s.values;
      std::copy_n(qkv, start, mixed);
      for (int64_t i = 0; i < s.values; i += kLanes) {
        const int64_t count = s.values - i;
        const auto own = load(qkv + start + i, count);
        store(hn::MulAdd(part, hn::Sub(load(first + i, count), own), own), mixed + start + i, count);
      }
    }
  }

  static float mix_back(const ValueShape& s, const T* qkv, const T* first, float share, const T* dmixed, T* dqkv,
                        T* dfirst) {
    const auto part = hn::Set(kFloats, share), rest = hn::Set(kFloats, 1 - share);
    Floats sum = hn::Zero(kFloats);
    for (int64_t t = 0; t < s.tokens; ++t) {
      const int64_t start = s.width - s.values;
      if (dqkv != dmixed) std::copy_n(dmixed, start, dqkv);
      for (int64_t i = 0; i < s.values; i += kLanes) {
        const int64_t count = s.values - i;
        const auto d = load(dmixed + start + i, count);
        sum = hn::MulAdd(d, hn::Sub(load(first + i, count), load(qkv + start + i, count)), sum);
        store(hn::Mul(part, d), dfirst + i, count);
        store(hn::Mul(rest, d), dqkv + start + i, count);
      }
      qkv += s.width, dmixed += s.width, dqkv += s.width, first += s.values, dfirst += s.values;
    }
    return hn::GetLane(hn::SumOfLanes(kFloats, sum));
  }

  static void join(const LatentShape& s, const T* query, const T* rotary_key, const T* expanded, T* qkv) {
    const int64_t width = int64_t{s.heads} * s.head_dim, content = s.head_dim - s.rotary;
    for (int64_t t = 0; t < s.tokens; ++t) {
      qkv = std::copy_n(query + t * width, width, qkv);
      for (int head = 0; head < s.heads; ++head) {
        qkv = std::copy_n(rotary_key + t * s.rotary, s.rotary, qkv);
        qkv = std::copy_n(expanded, content, qkv);
        expanded += content;
      }
      qkv = std::copy_n(expanded, width, qkv);
      expanded += width;
    }
  }

  static void part(const LatentShape& s, const T* dqkv, T* dquery, T* drotary_key, T* dexpanded) {
    const int64_t width = int64_t{s.heads} * s.head_dim, content = s.head_dim - s.rotary;
    for (int64_t t = 0; t < s.tokens; ++t, dqkv += 3 * width) {
      std::copy_n(dqkv, width, dquery + t * width);
      const T* keys = dqkv + width;
      for (int64_t i = 0; i < s.rotary; i += kLanes) {
        const int64_t count = s.rotary - i;
        Floats sum = hn::Zero(kFloats);
        for (int head = 0; head < s.heads; ++head) sum = hn::Add(sum, load(keys + head * s.head_dim + i, count));
        store(sum, drotary_key + t * s.rotary + i, count);
      }
      for (int head = 0; head < s.heads; ++head) {
        dexpanded = std::copy_n(keys + head * s.head_dim + s.rotary, content, dexpanded);
      }
      dexpanded = std::copy_n(keys + width, width, dexpanded);
    }
  }
};

void gate_any(const void* x, const void* gate, void* y, tensor::Dtype dtype, int64_t n) {
  const auto run = [&]<typename T>(T* to) {
    Heads<T>::gate(static_cast<const T*>(x), static_cast<const T*>(gate), to, n);
  };
  dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(y)) : run(static_cast<tensor::Bf16*>(y));
}
void gate_back_any(const void* x, const void* gate, const void* dy, void* dx, void* dgate, tensor::Dtype dtype,
                   int64_t n) {
  const auto run = [&]<typename T>(T* to) {
    Heads<T>::gate_back(static_cast<const T*>(x), static_cast<const T*>(gate), static_cast<const T*>(dy), to,
                        static_cast<T*>(dgate), n);
  };
  dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(dx)) : run(static_cast<tensor::Bf16*>(dx));
}
void mix_any(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first, float share,
             void* mixed) {
  const auto run = [&]<typename T>(T* to) {
    Heads<T>::mix(shape, static_cast<const T*>(qkv), static_cast<const T*>(first), share, to);
  };
  dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(mixed)) : run(static_cast<tensor::Bf16*>(mixed));
}
float mix_back_any(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first, float share,
                   const void* dmixed, void* dqkv, void* dfirst) {
  const auto run = [&]<typename T>(T* to) {
    return Heads<T>::mix_back(shape, static_cast<const T*>(qkv), static_cast<const T*>(first), share,
                              static_cast<const T*>(dmixed), to, static_cast<T*>(dfirst));
  };
  return dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(dqkv)) : run(static_cast<tensor::Bf16*>(dqkv));
}
void join_any(const LatentShape& shape, tensor::Dtype dtype, const void* query, const void* rotary_key,
              const void* expanded, void* qkv) {
  const auto run = [&]<typename T>(T* to) {
    Heads<T>::join(shape, static_cast<const T*>(query), static_cast<const T*>(rotary_key),
                   static_cast<const T*>(expanded), to);
  };
  dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(qkv)) : run(static_cast<tensor::Bf16*>(qkv));
}
void part_any(const LatentShape& shape, tensor::Dtype dtype, const void* dqkv, void* dquery, void* drotary_key,
              void* dexpanded) {
  const auto run = [&]<typename T>(T* to) {
    Heads<T>::part(shape, static_cast<const T*>(dqkv), to, static_cast<T*>(drotary_key), static_cast<T*>(dexpanded));
  };
  dtype == tensor::Dtype::kFloat32 ? run(static_cast<float*>(dquery)) : run(static_cast<tensor::Bf16*>(dquery));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cstring>

namespace flywheel::kernels {

HWY_EXPORT(gate_any);
HWY_EXPORT(gate_back_any);
HWY_EXPORT(mix_any);
HWY_EXPORT(mix_back_any);
HWY_EXPORT(join_any);
HWY_EXPORT(part_any);

void gate_forward(const void* x, const void* gate, void* y, tensor::Dtype dtype, int64_t n) {
  HWY_DYNAMIC_DISPATCH(gate_any)(x, gate, y, dtype, n);
}
void gate_backward(const void* x, const void* gate, const void* dy, void* dx, void* dgate, tensor::Dtype dtype,
                   int64_t n) {
  HWY_DYNAMIC_DISPATCH(gate_back_any)(x, gate, dy, dx, dgate, dtype, n);
}

void values_forward(const ValueShape& s, tensor::Dtype dtype, const void* qkv, void* values) {
  const int64_t size = tensor::dtype_bytes(dtype), bytes = s.values * size;
  for (int64_t t = 0; t < s.tokens; ++t) {
    std::memcpy(static_cast<char*>(values) + t * bytes,
                static_cast<const char*>(qkv) + ((t + 1) * s.width - s.values) * size, static_cast<size_t>(bytes));
  }
}
void values_backward(const ValueShape& s, tensor::Dtype dtype, const void* dvalues, void* dqkv) {
  const int64_t size = tensor::dtype_bytes(dtype), bytes = s.values * size, before = (s.width - s.values) * size;
  for (int64_t t = 0; t < s.tokens; ++t) {
    char* row = static_cast<char*>(dqkv) + t * s.width * size;
    std::memset(row, 0, static_cast<size_t>(before));
    std::memcpy(row + before, static_cast<const char*>(dvalues) + t * bytes, static_cast<size_t>(bytes));
  }
}
void value_residual_forward(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first,
                            float share, void* mixed) {
  HWY_DYNAMIC_DISPATCH(mix_any)(shape, dtype, qkv, first, share, mixed);
}
float value_residual_backward(const ValueShape& shape, tensor::Dtype dtype, const void* qkv, const void* first,
                              float share, const void* dmixed, void* dqkv, void* dfirst) {
  return HWY_DYNAMIC_DISPATCH(mix_back_any)(shape, dtype, qkv, first, share, dmixed, dqkv, dfirst);
}

void latent_qkv_forward(const LatentShape& shape, tensor::Dtype dtype, const void* query, const void* rotary_key,
                        const void* expanded, void* qkv) {
  HWY_DYNAMIC_DISPATCH(join_any)(shape, dtype, query, rotary_key, expanded, qkv);
}
void latent_qkv_backward(const LatentShape& shape, tensor::Dtype dtype, const void* dqkv, void* dquery,
                         void* drotary_key, void* dexpanded) {
  HWY_DYNAMIC_DISPATCH(part_any)(shape, dtype, dqkv, dquery, drotary_key, dexpanded);
}

}  // namespace flywheel::kernels
#endif
