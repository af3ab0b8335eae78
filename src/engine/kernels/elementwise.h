// Activations, embeddings and the small vector loops of a step. n counts elements; any alignment. Computed in float32
// whatever the storage; exp has a relative error below 3e-7. NaN in is NaN out.
#pragma once

#include <cstdint>

#include "engine/kernels/matmul.h"
#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// GELU is the tanh form (Hendrycks and Gimpel 2016); ReLU squared is So et al. 2021; gated: Shazeer 2020.
void activation_forward(Activation kind, const void* x, void* y, tensor::Dtype dtype, int64_t n);
void activation_backward(Activation kind, const void* x, const void* dy, void* dx, tensor::Dtype dtype,
                         int64_t n);  // overwrites dx
// gate_up (M, 2F): gate then up. y (M, F) = activation(gate) * up; the activation is kSilu (SwiGLU) or kGelu (GEGLU).
void gated_forward(Activation gate, const void* gate_up, void* y, tensor::Dtype dtype, int64_t m, int64_t f);
void gated_backward(Activation gate, const void* gate_up, const void* dy, void* dgate_up, tensor::Dtype dtype,
                    int64_t m,
                    int64_t f);  // overwrites

// x (T, C) = table[token] (+ positions[t]); positions may be null.
void embedding_forward(const uint16_t* tokens, const float* table, const float* positions, int64_t t, int64_t c,
                       float* x);
// dtable and dpositions (null: skipped) accumulate.
void embedding_backward(const uint16_t* tokens, const float* dx, int64_t t, int64_t c, float* dtable,
                        float* dpositions);

void convert(const float* x, tensor::Bf16* y, int64_t n);  // round to nearest even
void convert(const tensor::Bf16* x, float* y, int64_t n);
void add(const float* x, float* y, int64_t n);  // y += x
void add(const tensor::Bf16* x, tensor::Bf16* y, int64_t n);
void fill(float* y, float value, int64_t n);
void scale(float* y, float factor, int64_t n);
double sum_of_squares(const float* x, int64_t n);  // fixed order: same result for the same n

// One AdamW update (Loshchilov and Hutter 2019), decay decoupled. Bias corrections are given as 1 - beta^t.
struct AdamwStep {
  float learning_rate, beta1, beta2, epsilon, weight_decay, correction1, correction2;
  float gradient_scale;  // clipping
};
// What AdamW without decay does to weights whose gradient has been zero for some steps (train/table_rows.h):
// weight -= rate * moment1 / (sqrt(moment2 * inverse_correction2) + epsilon), then the moments fade by keep1 and keep2.
struct AdamwRest {
  float rate, inverse_correction2, epsilon, keep1, keep2;
};
void adamw_rest(const AdamwRest& rest, float* weight, float* moment1, float* moment2, int64_t n);
// The weights alone.
void adamw_rest_weights(const AdamwRest& rest, float* weight, const float* moment1, const float* moment2, int64_t n);
void adamw(const AdamwStep& step, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n);

}  // namespace flywheel::kernels
