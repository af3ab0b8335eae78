// Output head and cross-entropy in one: logits exist for one tile of tokens at a time, never batch x vocabulary.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace flywheel::kernels {

struct HeadShape {
  int64_t tokens = 0, width = 0, vocabulary = 0;  // T, C, V
  Dtype dtype = Dtype::kFloat32;                  // of x and the packed weights
};
int64_t head_workspace_bytes(const HeadShape& shape);
// Returns the summed loss (nats) over the tokens. packed_head is W (V, C) packed as B = Wᵀ (K = C, N = V).
// logit_scale multiplies the logits (muP's output multiplier).
double head_loss(const HeadShape& shape, const void* x, const void* packed_head, float logit_scale,
                 const uint16_t* targets, void* workspace);
// The same, and the gradients of loss_scale * loss: dx (T, C) float32 overwritten, dw (V, C) float32 accumulated.
// packed_head_transposed is W packed as B = W (K = V, N = C).
double head_loss_and_gradient(const HeadShape& shape, const void* x, const void* packed_head,
                              const void* packed_head_transposed, float logit_scale, float loss_scale,
                              const uint16_t* targets, float* dx, float* dw, void* workspace);
// Logits of the last row only, for sampling: logits (V) float32.
void head_logits(const HeadShape& shape, const void* x_row, const void* packed_head, float logit_scale, float* logits);

}  // namespace flywheel::kernels
