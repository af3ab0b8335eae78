// Every kernel written the plain way, accumulating in float64: what the fast versions are tested against.
#pragma once

#include <cstdint>

#include "engine/kernels/attention.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/recurrence.h"

namespace flywheel::kernels::reference {

double activate(Activation kind, double x);
double activation_slope(Activation kind, double x);

// As kernels::matmul, with B (element (k, n) at b[k * k_stride + n * n_stride]) not packed, but rounded to A's dtype.
void matmul(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const float* b,
            int64_t k_stride, int64_t n_stride, int64_t n, void* c, tensor::Dtype c_dtype, int64_t c_stride,
            const Epilogue& epilogue = {});
void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, tensor::Dtype dtype,
                             int64_t m, int64_t n, int64_t k, float* dw, int64_t dw_stride);

void attention_forward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, void* out,
                       float* log_sum_exp);
void attention_backward(const AttentionShape& shape, tensor::Dtype dtype, const void* qkv, const void* dout, void* dqkv,
                        float* dsinks);
void qk_prepare_forward(const QkShape& shape, tensor::Dtype dtype, void* qkv, float* inverse_rms);
void qk_prepare_backward(const QkShape& shape, tensor::Dtype dtype, const void* qkv, const float* inverse_rms,
                         void* dqkv);

// Every state is kept. Gradients as kernels::recurrence_backward gives them.
void recurrence_forward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs, void* out);
void recurrence_backward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs,
                         const void* dout, const RecurrenceGradients& gradients);

// head is W (V, C) float32, rounded to the shape's dtype. dx and dw null: the loss alone.
double head_loss_and_gradient(const HeadShape& shape, const void* x, const float* head, const HeadOptions& options,
                              float loss_scale, const uint16_t* targets, float* dx, float* dw);

void activation_forward(Activation kind, const void* x, void* y, tensor::Dtype dtype, int64_t n);
void activation_backward(Activation kind, const void* x, const void* dy, void* dx, tensor::Dtype dtype, int64_t n);
void gated_forward(Activation gate, const void* gate_up, void* y, tensor::Dtype dtype, int64_t m, int64_t f);
void gated_backward(Activation gate, const void* gate_up, const void* dy, void* dgate_up, tensor::Dtype dtype,
                    int64_t m, int64_t f);

void norm_forward(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                  void* y, tensor::Dtype y_dtype, float* statistics);
void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   tensor::Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias);

void dynamic_tanh_forward(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                          void* y, tensor::Dtype y_dtype);
void dynamic_tanh_backward(const float* x, float alpha, const float* gain, const void* dy, tensor::Dtype dy_dtype,
                           int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias);

void adamw(const AdamwStep& step, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n);

}  // namespace flywheel::kernels::reference
