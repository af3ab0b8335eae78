// Channels in vectors, tokens one after the other: a row and the few before it are in the L1 cache.
#include "engine/kernels/short_convolution.h"

#include <cstring>

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/short_convolution.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// The sum before SiLU, of channels c ... of token t. Earlier tokens lie at x - stride, x - 2 stride, ...
template <typename T>
HWY_INLINE Floats convolved(const ConvolutionShape& s, const T* x, int64_t t, const float* weight, int64_t c) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t j = 0; j < s.taps && j <= t; ++j) {
    const int64_t left = s.width - c;
    sum = hn::MulAdd(load(weight + j * s.width + c, left), load(x + (t - j) * s.width + c, left), sum);
  }
  return sum;
}

template <typename T>
void forward(const ConvolutionShape& s, const T* x, const float* weight, T* y) {
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t c = 0; c < s.width; c += kLanes) {
      const auto z = convolved(s, x, t, weight, c);
      store(hn::Mul(z, sigmoid(z)), y + t * s.width + c, s.width - c);
    }
  }
}

template <typename T>
void backward(const ConvolutionShape& s, const T* x, const float* weight, const T* dy, T* dx, float* dweight,
              float* dz) {
  const auto one = hn::Set(kFloats, 1.0f);
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t c = 0; c < s.width; c += kLanes) {
      const int64_t left = s.width - c, at = t * s.width + c;
      const auto z = convolved(s, x, t, weight, c), sig = sigmoid(z);
      const auto slope = hn::Mul(sig, hn::MulAdd(z, hn::Sub(one, sig), one));
      const auto d = hn::Mul(load(dy + at, left), slope);
      store(d, dz + at, left);
      for (int64_t j = 0; j < s.taps && j <= t; ++j) {
        float* to = dweight + j * s.width + c;
        store(hn::MulAdd(d, load(x + at - j * s.width, left), load(to, left)), to, left);
      }
    }
  }
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t c = 0; c < s.width; c += kLanes) {
      const int64_t left = s.width - c;
      Floats sum = hn::Zero(kFloats);
      for (int64_t j = 0; j < s.taps && t + j < s.tokens; ++j)
        sum = hn::MulAdd(load(weight + j * s.width + c, left), load(dz + (t + j) * s.width + c, left), sum);
      store(sum, dx + t * s.width + c, left);
    }
  }
}

template <typename T>
void step(const ConvolutionShape& s, const T* x, const float* weight, T* earlier, T* y) {
  for (int64_t c = 0; c < s.width; c += kLanes) {
    const int64_t left = s.width - c;
    Floats sum = hn::Mul(load(weight + c, left), load(x + c, left));
    for (int64_t j = 1; j < s.taps; ++j)
      sum = hn::MulAdd(load(weight + j * s.width + c, left), load(earlier + (j - 1) * s.width + c, left), sum);
    store(hn::Mul(sum, sigmoid(sum)), y + c, left);
  }
  const auto row = static_cast<size_t>(s.width) * sizeof(T);
  std::memmove(earlier + s.width, earlier, static_cast<size_t>(s.taps - 2) * row);
  std::memcpy(earlier, x, row);
}

void forward_any(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight, void* y) {
  if (dtype == tensor::Dtype::kFloat32)
    return forward(shape, static_cast<const float*>(x), weight, static_cast<float*>(y));
  forward(shape, static_cast<const tensor::Bf16*>(x), weight, static_cast<tensor::Bf16*>(y));
}
void backward_any(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                  const void* dy, void* dx, float* dweight, float* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    return backward(shape, static_cast<const float*>(x), weight, static_cast<const float*>(dy), static_cast<float*>(dx),
                    dweight, workspace);
  }
  backward(shape, static_cast<const tensor::Bf16*>(x), weight, static_cast<const tensor::Bf16*>(dy),
           static_cast<tensor::Bf16*>(dx), dweight, workspace);
}
void step_any(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight, void* earlier,
              void* y) {
  if (dtype == tensor::Dtype::kFloat32) {
    return step(shape, static_cast<const float*>(x), weight, static_cast<float*>(earlier), static_cast<float*>(y));
  }
  step(shape, static_cast<const tensor::Bf16*>(x), weight, static_cast<tensor::Bf16*>(earlier),
       static_cast<tensor::Bf16*>(y));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(forward_any);
HWY_EXPORT(backward_any);
HWY_EXPORT(step_any);

void short_convolution_forward(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                               void* y) {
  HWY_DYNAMIC_DISPATCH(forward_any)(shape, dtype, x, weight, y);
}
void short_convolution_backward(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                                const void* dy, void* dx, float* dweight, float* workspace) {
  HWY_DYNAMIC_DISPATCH(backward_any)(shape, dtype, x, weight, dy, dx, dweight, workspace);
}
void short_convolution_step(const ConvolutionShape& shape, tensor::Dtype dtype, const void* x, const float* weight,
                            void* earlier, void* y) {
  HWY_DYNAMIC_DISPATCH(step_any)(shape, dtype, x, weight, earlier, y);
}

}  // namespace flywheel::kernels
#endif
