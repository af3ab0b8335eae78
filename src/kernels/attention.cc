// Attention.
#include "kernels/attention.h"

#include <cmath>

#include "kernels/reference.h"

namespace flywheel::kernels {

int64_t attention_workspace_bytes(const AttentionShape& shape, Dtype dtype) {
  return 64;
}

void attention_forward(const AttentionShape& shape, Dtype dtype, const void* qkv, void* out, float* log_sum_exp,
                       void* workspace) {
  reference::attention_forward(shape, dtype, qkv, out, log_sum_exp);
}
void attention_backward(const AttentionShape& shape, Dtype dtype, const void* qkv, const void* out, const void* dout,
                        const float* log_sum_exp, void* dqkv, void* workspace) {
  reference::attention_backward(shape, dtype, qkv, dout, dqkv);
}

void rope_table(int64_t tokens, int head_dim, double base, float* cosines, float* sines) {
  const int64_t half = head_dim / 2;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) * std::pow(base, -2.0 * static_cast<double>(i) / head_dim);
      cosines[t * half + i] = static_cast<float>(std::cos(angle));
      sines[t * half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void qk_prepare_forward(const QkShape& shape, Dtype dtype, void* qkv, float* inverse_rms) {
  reference::qk_prepare_forward(shape, dtype, qkv, inverse_rms);
}
void qk_prepare_backward(const QkShape& shape, Dtype dtype, const void* qkv, const float* inverse_rms, void* dqkv) {
  reference::qk_prepare_backward(shape, dtype, qkv, inverse_rms, dqkv);
}

}  // namespace flywheel::kernels
