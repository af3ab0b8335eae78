// Mixture of experts: which experts a token goes to and with what weight, and the moves between rows in the order of
// the tokens and rows in the order of the experts. The experts' products are plain matmuls on their own rows.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

struct RouteShape {
  int64_t tokens = 0, experts = 0, active = 0;  // T, E, K
};
// Sigmoid scores (DeepSeek-V3, 2024): the K experts with the largest score + bias (the lower number of two equal ones;
// bias (E) or null), whose weights are their scores over the sum of the K; with K = 1 the score itself, so that the
// router still learns.
// scores (T, E), weights (T, K), choice (T, K): the experts. places (T, K): the row of each copy of a token when copies
// are sorted by expert, tokens in order; first (E + 1): each expert's first row.
void route_forward(const RouteShape& shape, const float* logits, const float* bias, float* scores, float* weights,
                   int32_t* choice, int32_t* places, int32_t* first);
// dlogits (T, E) overwritten. balance: weight of the gradient of the load-balance loss of a sequence (Fedus et al.
// 2021, in DeepSeek-V3's form): T times the sum over e of (E * share of all choices that fell on e) * (mean over tokens
// of e's share of the token's scores); 0: none.
void route_backward(const RouteShape& shape, const float* scores, const float* weights, const int32_t* choice,
                    const int32_t* first, const float* dweights, float balance, float* dlogits);

// out (T * K, C): row places[t, j] is row t of x (T, C), both of `dtype`.
void spread_rows(const void* x, const int32_t* places, int64_t t, int64_t k, int64_t c, tensor::Dtype dtype, void* out);
// x (T, C): row t is the sum of the rows places[t, ...] of `rows`; overwritten.
void gather_rows(const void* rows, const int32_t* places, int64_t t, int64_t k, int64_t c, tensor::Dtype dtype,
                 void* x);
// y (T, C) += the weighted sum, all float32.
void combine_forward(const float* rows, const float* weights, const int32_t* places, int64_t t, int64_t k, int64_t c,
                     float* y);
// drows (T * K, C) and dweights (T, K) overwritten.
void combine_backward(const float* rows, const float* weights, const int32_t* places, const float* dy, int64_t t,
                      int64_t k, int64_t c, float* drows, float* dweights);

}  // namespace flywheel::kernels
