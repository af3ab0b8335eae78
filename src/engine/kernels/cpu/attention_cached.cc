#include "engine/kernels/attention_cached.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/attention.h"
#include "engine/tensor/bfloat16.h"

namespace flywheel::kernels {
namespace {

float to_float(float x) {
  return x;
}
using tensor::to_float;
void assign(float x, float& to) {
  to = x;
}
void assign(float x, tensor::Bf16& to) {
  to = tensor::to_bfloat16(x);
}

// A score of the key `distance` tokens back, and what the softmax makes of all of them.
float bent(const CachedAttentionShape& s, int head, float score, int64_t distance) {
  if (s.softcap > 0) score = s.softcap * std::tanh(score / s.softcap);
  return s.alibi ? score - alibi_slope(head, s.heads) * static_cast<float>(distance) : score;
}

// Scores [first, position] become weights.
void softmax(const CachedAttentionShape& s, int head, int64_t first, int64_t position, float* scores) {
  float largest = s.sinks ? s.sinks[head] : -INFINITY;
  for (int64_t t = first; t <= position; ++t) {
    scores[t] = bent(s, head, scores[t] * s.scale, position - t);
    largest = std::max(largest, scores[t]);
  }
  float sum = s.sinks ? std::exp(s.sinks[head] - largest) : 0.0f;
  for (int64_t t = first; t <= position; ++t) sum += scores[t] = std::exp(scores[t] - largest);
  for (int64_t t = first; t <= position; ++t) scores[t] /= sum;
}

template <typename A, typename B>
float dot(const A* a, const B* b, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += to_float(a[i]) * to_float(b[i]);
  return sum;
}

template <typename T>
void run(const CachedAttentionShape& s, const T* qkv, T* keys, T* values, int64_t position, T* out, float* scores) {
  const int64_t dim = s.head_dim, row = s.kv_heads * dim, first = first_seen(position, s.window);
  const T* own_keys = qkv + s.heads * dim;
  std::memcpy(keys + position * row, own_keys, static_cast<size_t>(row) * sizeof(T));
  std::memcpy(values + position * row, own_keys + row, static_cast<size_t>(row) * sizeof(T));
  for (int head = 0; head < s.heads; ++head) {
    const int64_t group = head / (s.heads / s.kv_heads) * dim;
    for (int64_t t = first; t <= position; ++t) scores[t] = dot(qkv + head * dim, keys + t * row + group, dim);
    softmax(s, head, first, position, scores);
    for (int64_t i = 0; i < dim; ++i) {
      float mixed = 0;
      for (int64_t t = first; t <= position; ++t) mixed += scores[t] * to_float(values[t * row + group + i]);
      assign(mixed, out[head * dim + i]);
    }
  }
}

template <typename T>
void run_latent(const LatentAttentionShape& shape, const T* query, const T* latent, const T* rotary_key,
                const float* up, T* latents, T* rotary_keys, int64_t position, T* out, float* scores) {
  const CachedAttentionShape& s = shape.attention;
  const int64_t dim = s.head_dim, width = shape.latent, rotary = shape.rotary, content = dim - rotary;
  const int64_t first = first_seen(position, s.window);
  float *folded_query = scores + position + 1, *mixed = folded_query + width;
  std::memcpy(latents + position * width, latent, static_cast<size_t>(width) * sizeof(T));
  if (rotary > 0) std::memcpy(rotary_keys + position * rotary, rotary_key, static_cast<size_t>(rotary) * sizeof(T));
  for (int head = 0; head < s.heads; ++head, query += dim, out += dim) {
    std::fill_n(folded_query, 2 * width, 0.0f);
    for (int64_t i = 0; i < content; ++i) {
      const float* key_row = up + (head * content + i) * width;
      for (int64_t l = 0; l < width; ++l) folded_query[l] += to_float(query[rotary + i]) * key_row[l];
    }
    for (int64_t t = first; t <= position; ++t) {
      scores[t] = dot(folded_query, latents + t * width, width) + dot(query, rotary_keys + t * rotary, rotary);
    }
    softmax(s, head, first, position, scores);
    for (int64_t t = first; t <= position; ++t) {
      for (int64_t l = 0; l < width; ++l) mixed[l] += scores[t] * to_float(latents[t * width + l]);
    }
    const float* value_rows = up + (s.heads * content + head * dim) * width;
    for (int64_t i = 0; i < dim; ++i) assign(dot(mixed, value_rows + i * width, width), out[i]);
  }
}

}  // namespace

void attention_cached(const CachedAttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* keys, void* values,
                      int64_t position, void* out, float* scores) {
  if (dtype == tensor::Dtype::kBfloat16) {
    run(shape, static_cast<const tensor::Bf16*>(qkv), static_cast<tensor::Bf16*>(keys),
        static_cast<tensor::Bf16*>(values), position, static_cast<tensor::Bf16*>(out), scores);
  } else {
    run(shape, static_cast<const float*>(qkv), static_cast<float*>(keys), static_cast<float*>(values), position,
        static_cast<float*>(out), scores);
  }
}

void latent_attention_cached(const LatentAttentionShape& shape, tensor::Dtype dtype, const void* query,
                             const void* latent, const void* rotary_key, const float* up, void* latents,
                             void* rotary_keys, int64_t position, void* out, float* scores) {
  if (dtype == tensor::Dtype::kBfloat16) {
    run_latent(shape, static_cast<const tensor::Bf16*>(query), static_cast<const tensor::Bf16*>(latent),
               static_cast<const tensor::Bf16*>(rotary_key), up, static_cast<tensor::Bf16*>(latents),
               static_cast<tensor::Bf16*>(rotary_keys), position, static_cast<tensor::Bf16*>(out), scores);
  } else {
    run_latent(shape, static_cast<const float*>(query), static_cast<const float*>(latent),
               static_cast<const float*>(rotary_key), up, static_cast<float*>(latents),
               static_cast<float*>(rotary_keys), position, static_cast<float*>(out), scores);
  }
}

}  // namespace flywheel::kernels
