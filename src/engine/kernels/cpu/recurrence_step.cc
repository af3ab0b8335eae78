// One token of the recurrence: what sampling runs. Plain loops over the states.
#include <algorithm>
#include <cmath>

#include "engine/kernels/element.h"
#include "engine/kernels/recurrence.h"

namespace flywheel::kernels {
namespace {

// 1 / length of n elements from `at`, or 1.
float length_factor(bool unit, const void* x, tensor::Dtype dtype, int64_t at, int64_t n) {
  if (!unit) return 1;
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float element = load_element(x, dtype, at + i);
    sum += element * element;
  }
  return 1.0f / std::sqrt(sum + kUnitEpsilon);
}

}  // namespace

void recurrence_step(const RecurrenceShape& s, tensor::Dtype dtype, const RecurrenceInputs& in, float* state,
                     void* out) {
  const int64_t dim = s.key_dim, values = s.value_dim;
  for (int64_t head = 0; head < s.heads; ++head, state += dim * values) {
    const int64_t query_at = s.shared_keys ? 0 : head * dim, key_at = s.key_heads() * dim + query_at;
    const int64_t value_at = s.value_at() + head * values, a_at = head * dim, b_at = a_at + s.heads * dim;
    const float q_scale = s.query_scale * length_factor(s.unit_keys, in.qkv, dtype, query_at, dim);
    const float k_scale = length_factor(s.unit_keys, in.qkv, dtype, key_at, dim);
    const float beta = in.beta ? in.beta[head] : 1.0f;
    const auto decay = [&](int64_t c) { return std::exp(in.log_decay[s.channel_decay ? a_at + c : head]); };
    const auto key = [&](int64_t c) { return k_scale * load_element(in.qkv, dtype, key_at + c); };
    for (int64_t v = 0; v < values; ++v) {
      const float value = load_element(in.qkv, dtype, value_at + v);
      float u = 0, sum = in.skip ? in.skip[head] * value : 0.0f;
      for (int64_t c = 0; c < dim && s.delta != Delta::kNone; ++c)
        u += state[c * values + v] * (s.delta == Delta::kBeta ? key(c) : load_element(in.ab, dtype, a_at + c));
      for (int64_t c = 0; c < dim; ++c) {
        float& cell = state[c * values + v];
        const float kept = decay(c), k = key(c) * beta;
        float b = 0;
        if (s.delta == Delta::kBeta) b = -kept * k;
        if (s.delta == Delta::kGiven) b = load_element(in.ab, dtype, b_at + c);
        cell = kept * cell + b * u + k * value;
        sum += q_scale * load_element(in.qkv, dtype, query_at + c) * cell;
      }
      store_element(out, dtype, head * values + v, sum);
    }
  }
}

}  // namespace flywheel::kernels
