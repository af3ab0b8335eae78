#include "kernels/attention_cached.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/bfloat16.h"

namespace flywheel::kernels {
namespace {

float to_float(float x) {
  return x;
}
using flywheel::to_float;
void assign(float x, float& to) {
  to = x;
}
void assign(float x, Bf16& to) {
  to = to_bfloat16(x);
}

template <typename T>
void run(const CachedAttentionShape& s, const T* qkv, T* keys, T* values, int64_t position, T* out, float* scores) {
  const int64_t dim = s.head_dim, row = s.kv_heads * dim, tokens = position + 1;
  const T* own_keys = qkv + s.heads * dim;
  std::memcpy(keys + position * row, own_keys, static_cast<size_t>(row) * sizeof(T));
  std::memcpy(values + position * row, own_keys + row, static_cast<size_t>(row) * sizeof(T));
  for (int head = 0; head < s.heads; ++head) {
    const T* query = qkv + head * dim;
    const int64_t group = head / (s.heads / s.kv_heads) * dim;
    float largest = -INFINITY, sum = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      float dot = 0;
      for (int64_t i = 0; i < dim; ++i) dot += to_float(query[i]) * to_float(keys[t * row + group + i]);
      scores[t] = s.scale * dot;
      largest = std::max(largest, scores[t]);
    }
    for (int64_t t = 0; t < tokens; ++t) sum += scores[t] = std::exp(scores[t] - largest);
    for (int64_t i = 0; i < dim; ++i) {
      float mixed = 0;
      for (int64_t t = 0; t < tokens; ++t) mixed += scores[t] * to_float(values[t * row + group + i]);
      assign(mixed / sum, out[head * dim + i]);
    }
  }
}

}  // namespace

void attention_cached(const CachedAttentionShape& shape, Dtype dtype, const void* qkv, void* keys, void* values,
                      int64_t position, void* out, float* scores) {
  if (dtype == Dtype::kBfloat16) {
    run(shape, static_cast<const Bf16*>(qkv), static_cast<Bf16*>(keys), static_cast<Bf16*>(values), position,
        static_cast<Bf16*>(out), scores);
  } else {
    run(shape, static_cast<const float*>(qkv), static_cast<float*>(keys), static_cast<float*>(values), position,
        static_cast<float*>(out), scores);
  }
}

}  // namespace flywheel::kernels
