// A handful of weights on whole rows: each output is written once, each dot product summed over one token at a time.
#include "engine/kernels/streams.h"

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/streams.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Row of input j at token t.
HWY_INLINE const float* input_row(const StreamShape& s, const float* x, const float* extra, int64_t t, int64_t j) {
  return j < s.streams ? x + (t * s.streams + j) * s.width : extra + t * s.width;
}

// to (C) = sum over k of weight (k * stride) * from(k), a row each.
template <typename Rows>
void weighted_sum(int64_t count, const float* weights, int64_t stride, int64_t c, float* to, const Rows& from) {
  for (int64_t i = 0; i < c; i += kLanes) {
    Floats sum = hn::Zero(kFloats);
    for (int64_t k = 0; k < count; ++k) {
      sum = hn::MulAdd(hn::Set(kFloats, weights[k * stride]), load(from(k) + i, c - i), sum);
    }
    store(sum, to + i, c - i);
  }
}

HWY_INLINE float dot(const float* a, const float* b, int64_t c) {
  Floats sum = hn::Zero(kFloats);
  for (int64_t i = 0; i < c; i += kLanes) sum = hn::MulAdd(load(a + i, c - i), load(b + i, c - i), sum);
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

void mix_forward(const StreamShape& s, const float* weights, const float* x, const float* extra, float* y) {
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t i = 0; i < s.outputs; ++i) {
      weighted_sum(s.inputs, weights + i * s.inputs, 1, s.width, y + (t * s.outputs + i) * s.width,
                   [&](int64_t j) { return input_row(s, x, extra, t, j); });
    }
  }
}

void mix_backward(const StreamShape& s, const float* weights, const float* x, const float* extra, const float* dy,
                  float* dx, float* dextra, float* dweights) {
  for (int64_t t = 0; t < s.tokens; ++t) {
    const float* dy_row = dy + t * s.outputs * s.width;
    for (int64_t j = 0; j < s.inputs; ++j) {
      if (j >= s.streams && dextra == nullptr) continue;
      float* to = j < s.streams ? dx + (t * s.streams + j) * s.width : dextra + t * s.width;
      weighted_sum(s.outputs, weights + j, s.inputs, s.width, to, [&](int64_t i) { return dy_row + i * s.width; });
    }
    for (int64_t i = 0; dweights != nullptr && i < s.outputs; ++i) {
      for (int64_t j = 0; j < s.inputs; ++j) {
        dweights[i * s.inputs + j] += dot(dy_row + i * s.width, input_row(s, x, extra, t, j), s.width);
      }
    }
  }
}

void channels_forward(const float* x, const float* gain, int64_t t, int64_t c, float* y) {
  for (int64_t row = 0; row < t; ++row, x += c, y += c) {
    for (int64_t i = 0; i < c; i += kLanes) store(hn::Mul(load(x + i, c - i), load(gain + i, c - i)), y + i, c - i);
  }
}

void channels_backward(const float* x, const float* gain, const float* dy, int64_t t, int64_t c, float* dx,
                       float* dgain) {
  for (int64_t row = 0; row < t; ++row, x += c, dy += c, dx += c) {
    for (int64_t i = 0; i < c; i += kLanes) {
      const auto d = load(dy + i, c - i);
      store(hn::MulAdd(d, load(x + i, c - i), load(dgain + i, c - i)), dgain + i, c - i);
      store(hn::Mul(d, load(gain + i, c - i)), dx + i, c - i);
    }
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(mix_forward);
HWY_EXPORT(mix_backward);
HWY_EXPORT(channels_forward);
HWY_EXPORT(channels_backward);

void mix_streams_forward(const StreamShape& shape, const float* weights, const float* x, const float* extra, float* y) {
  HWY_DYNAMIC_DISPATCH(mix_forward)(shape, weights, x, extra, y);
}

void mix_streams_backward(const StreamShape& shape, const float* weights, const float* x, const float* extra,
                          const float* dy, float* dx, float* dextra, float* dweights) {
  HWY_DYNAMIC_DISPATCH(mix_backward)(shape, weights, x, extra, dy, dx, dextra, dweights);
}

void scale_channels_forward(const float* x, const float* gain, int64_t t, int64_t c, float* y) {
  HWY_DYNAMIC_DISPATCH(channels_forward)(x, gain, t, c, y);
}

void scale_channels_backward(const float* x, const float* gain, const float* dy, int64_t t, int64_t c, float* dx,
                             float* dgain) {
  HWY_DYNAMIC_DISPATCH(channels_backward)(x, gain, dy, t, c, dx, dgain);
}

}  // namespace flywheel::kernels
#endif
