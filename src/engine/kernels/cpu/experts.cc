#include "engine/kernels/experts.h"

#include <cmath>

#include "engine/kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/experts.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

void sigmoid_all(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += kLanes) store(sigmoid(load(x + i, n - i)), y + i, n - i);
}

template <typename T>
void gather_as(const T* rows, const int32_t* places, int64_t t, int64_t k, int64_t c, T* x) {
  for (int64_t row = 0; row < t; ++row, places += k, x += c) {
    for (int64_t i = 0; i < c; i += kLanes) {
      Floats sum = hn::Zero(kFloats);
      for (int64_t j = 0; j < k; ++j) sum = hn::Add(sum, load(rows + places[j] * c + i, c - i));
      store(sum, x + i, c - i);
    }
  }
}
void gather_any(const void* rows, const int32_t* places, int64_t t, int64_t k, int64_t c, tensor::Dtype dtype,
                void* x) {
  if (dtype == tensor::Dtype::kFloat32) {
    return gather_as(static_cast<const float*>(rows), places, t, k, c, static_cast<float*>(x));
  }
  gather_as(static_cast<const tensor::Bf16*>(rows), places, t, k, c, static_cast<tensor::Bf16*>(x));
}

void combine_all(const float* rows, const float* weights, const int32_t* places, int64_t t, int64_t k, int64_t c,
                 float* y) {
  for (int64_t row = 0; row < t; ++row, places += k, weights += k, y += c) {
    for (int64_t i = 0; i < c; i += kLanes) {
      Floats sum = load(y + i, c - i);
      for (int64_t j = 0; j < k; ++j) {
        sum = hn::MulAdd(hn::Set(kFloats, weights[j]), load(rows + places[j] * c + i, c - i), sum);
      }
      store(sum, y + i, c - i);
    }
  }
}

void combine_backward_all(const float* rows, const float* weights, const int32_t* places, const float* dy, int64_t t,
                          int64_t k, int64_t c, float* drows, float* dweights) {
  for (int64_t row = 0; row < t; ++row, places += k, weights += k, dweights += k, dy += c) {
    for (int64_t j = 0; j < k; ++j) {
      const float* from = rows + places[j] * c;
      float* to = drows + places[j] * c;
      const auto weight = hn::Set(kFloats, weights[j]);
      Floats dot = hn::Zero(kFloats);
      for (int64_t i = 0; i < c; i += kLanes) {
        const auto d = load(dy + i, c - i);
        dot = hn::MulAdd(d, load(from + i, c - i), dot);
        store(hn::Mul(weight, d), to + i, c - i);
      }
      dweights[j] = hn::GetLane(hn::SumOfLanes(kFloats, dot));
    }
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(sigmoid_all);
HWY_EXPORT(gather_any);
HWY_EXPORT(combine_all);
HWY_EXPORT(combine_backward_all);

namespace {

constexpr float kSmallestSum = 1e-20f;  // of the chosen scores, so that nothing is divided by zero

float weight_divisor(const float* scores, const int32_t* choice, int64_t active) {
  if (active == 1) return 1;
  float sum = kSmallestSum;
  for (int64_t j = 0; j < active; ++j) sum += scores[choice[j]];
  return sum;
}

// The expert with the largest score + bias that is not among the first `taken` choices. NaN counts as the largest: left
// out it would be hidden.
int32_t next_choice(const float* scores, const float* bias, int64_t experts, const int32_t* choice, int64_t taken) {
  int32_t best = -1;
  float best_score = 0;
  for (int32_t e = 0; e < experts; ++e) {
    bool is_taken = false;
    for (int64_t j = 0; j < taken; ++j) is_taken = is_taken || choice[j] == e;
    const float score = scores[e] + (bias ? bias[e] : 0);
    if (is_taken || (best >= 0 && (score <= best_score || std::isnan(best_score)))) continue;
    best = e;
    best_score = score;
  }
  return best;
}

}  // namespace

void route_forward(const RouteShape& s, const float* logits, const float* bias, float* scores, float* weights,
                   int32_t* choice, int32_t* places, int32_t* first) {
  HWY_DYNAMIC_DISPATCH(sigmoid_all)(logits, s.tokens * s.experts, scores);
  for (int64_t e = 0; e <= s.experts; ++e) first[e] = 0;
  for (int64_t t = 0; t < s.tokens; ++t) {
    const float* of_token = scores + t * s.experts;
    int32_t* chosen = choice + t * s.active;
    for (int64_t j = 0; j < s.active; ++j) {
      chosen[j] = next_choice(of_token, bias, s.experts, chosen, j);
      ++first[chosen[j] + 1];
    }
    const float divisor = weight_divisor(of_token, chosen, s.active);
    for (int64_t j = 0; j < s.active; ++j) weights[t * s.active + j] = of_token[chosen[j]] / divisor;
  }
  for (int64_t e = 0; e < s.experts; ++e) first[e + 1] += first[e];
  // Each expert's next free row, counted in place: afterwards first[e] is where e ends, which is where e + 1 began.
  for (int64_t i = 0; i < s.tokens * s.active; ++i) places[i] = first[choice[i]]++;
  for (int64_t e = s.experts; e > 0; --e) first[e] = first[e - 1];
  first[0] = 0;
}

void route_backward(const RouteShape& s, const float* scores, const float* weights, const int32_t* choice,
                    const int32_t* first, const float* dweights, float balance, float* dlogits) {
  const float load_scale = static_cast<float>(s.experts) / static_cast<float>(s.active * s.tokens);
  const auto load = [&](int64_t e) { return static_cast<float>(first[e + 1] - first[e]) * load_scale; };
  for (int64_t t = 0; t < s.tokens; ++t, scores += s.experts, dlogits += s.experts) {
    const int32_t* chosen = choice + t * s.active;
    float sum = 0, mean_load = 0, mean = 0;
    for (int64_t e = 0; balance > 0 && e < s.experts; ++e) {
      sum += scores[e];
      mean_load += load(e) * scores[e];
    }
    for (int64_t e = 0; e < s.experts; ++e) {
      const float dscore = balance > 0 ? balance * (load(e) - mean_load / sum) / sum : 0;
      dlogits[e] = dscore * scores[e] * (1 - scores[e]);
    }
    const float divisor = weight_divisor(scores, chosen, s.active);
    for (int64_t j = 0; s.active > 1 && j < s.active; ++j)
      mean += dweights[t * s.active + j] * weights[t * s.active + j];
    for (int64_t j = 0; j < s.active; ++j) {
      const float score = scores[chosen[j]];
      dlogits[chosen[j]] += (dweights[t * s.active + j] - mean) / divisor * score * (1 - score);
    }
  }
}

void spread_rows(const void* x, const int32_t* places, int64_t t, int64_t k, int64_t c, tensor::Dtype dtype,
                 void* out) {
  const size_t bytes = static_cast<size_t>(c * tensor::dtype_bytes(dtype));
  for (int64_t i = 0; i < t * k; ++i) {
    std::memcpy(static_cast<char*>(out) + static_cast<size_t>(places[i]) * bytes,
                static_cast<const char*>(x) + static_cast<size_t>(i / k) * bytes, bytes);
  }
}

void gather_rows(const void* rows, const int32_t* places, int64_t t, int64_t k, int64_t c, tensor::Dtype dtype,
                 void* x) {
  HWY_DYNAMIC_DISPATCH(gather_any)(rows, places, t, k, c, dtype, x);
}

void combine_forward(const float* rows, const float* weights, const int32_t* places, int64_t t, int64_t k, int64_t c,
                     float* y) {
  HWY_DYNAMIC_DISPATCH(combine_all)(rows, weights, places, t, k, c, y);
}

void combine_backward(const float* rows, const float* weights, const int32_t* places, const float* dy, int64_t t,
                      int64_t k, int64_t c, float* drows, float* dweights) {
  HWY_DYNAMIC_DISPATCH(combine_backward_all)(rows, weights, places, dy, t, k, c, drows, dweights);
}

}  // namespace flywheel::kernels
#endif
