// Several residual streams side by side in a row: weighted sums of them, and weights of single channels. All float32.
#pragma once

#include <cstdint>

namespace flywheel::kernels {

struct StreamShape {
  int64_t tokens = 0, width = 0;  // T, C
  int64_t streams = 0;            // n: x is (T, n * C)
  int64_t inputs = 0;             // n, or n + 1 with an extra input (T, C)
  int64_t outputs = 0;            // m: y is (T, m * C)
};
// y stream i = sum over j of weights (m, inputs) (i, j) * input j. extra may be null when inputs is n.
void mix_streams_forward(const StreamShape& shape, const float* weights, const float* x, const float* extra, float* y);
// dx and dextra (null: skipped) are overwritten; dweights (m, inputs; null: skipped) accumulates.
void mix_streams_backward(const StreamShape& shape, const float* weights, const float* x, const float* extra,
                          const float* dy, float* dx, float* dextra, float* dweights);

// y (T, C) = x * gain (C); y may be x.
void scale_channels_forward(const float* x, const float* gain, int64_t t, int64_t c, float* y);
// dx (T, C) overwritten, may be dy; dgain (C) accumulates.
void scale_channels_backward(const float* x, const float* gain, const float* dy, int64_t t, int64_t c, float* dx,
                             float* dgain);

}  // namespace flywheel::kernels
