// The small vector loops.
#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/element.h"
#include "kernels/reference.h"

namespace flywheel::kernels {

void activation_forward(Activation kind, const void* x, void* y, Dtype dtype, int64_t n) {
  reference::activation_forward(kind, x, y, dtype, n);
}
void activation_backward(Activation kind, const void* x, const void* dy, void* dx, Dtype dtype, int64_t n) {
  reference::activation_backward(kind, x, dy, dx, dtype, n);
}
void swiglu_forward(const void* gate_up, void* y, Dtype dtype, int64_t m, int64_t f) {
  reference::swiglu_forward(gate_up, y, dtype, m, f);
}
void swiglu_backward(const void* gate_up, const void* dy, void* dgate_up, Dtype dtype, int64_t m, int64_t f) {
  reference::swiglu_backward(gate_up, dy, dgate_up, dtype, m, f);
}
void adamw(const AdamwStep& step, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n) {
  reference::adamw(step, gradient, weight, moment1, moment2, n);
}
void embedding_forward(const uint16_t* tokens, const float* table, const float* positions, int64_t t, int64_t c,
                       float* x) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < c; ++i)
      x[row * c + i] = table[tokens[row] * c + i] + (positions ? positions[row * c + i] : 0.0f);
  }
}
void embedding_backward(const uint16_t* tokens, const float* dx, int64_t t, int64_t c, float* dtable,
                        float* dpositions) {
  for (int64_t row = 0; row < t; ++row) {
    if (dtable) add(dx + row * c, dtable + tokens[row] * c, c);
  }
  if (dpositions) add(dx, dpositions, t * c);
}
void convert(const float* x, Bf16* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = to_bfloat16(x[i]);
}
void convert(const Bf16* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = to_float(x[i]);
}
void add(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}
void fill(float* y, float value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = value;
}
void scale(float* y, float factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] *= factor;
}
double sum_of_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return sum;
}
bool all_finite(const float* x, int64_t n) {
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) finite &= std::isfinite(x[i]);
  return finite;
}
void reduce_sum(const float* const* buffers, int count, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float sum = 0;
    for (int b = 0; b < count; ++b) sum += buffers[b][i];
    out[i] = sum;
  }
}

}  // namespace flywheel::kernels
