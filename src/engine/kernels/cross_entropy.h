// Output head and cross-entropy in one: logits exist for one tile of tokens at a time, never batch x vocabulary.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

struct HeadShape {
  int64_t tokens = 0, width = 0, vocabulary = 0;  // T, C, V
  tensor::Dtype dtype = tensor::Dtype::kFloat32;  // of x and the packed weights
};
int64_t head_workspace_bytes(const HeadShape& shape);
struct HeadOptions {
  float logit_scale = 1;  // multiplies the logits (muP's output multiplier)
  float softcap = 0;      // logits become cap * tanh(logit / cap) (Gemma 2, Riviere et al. 2024); 0: off
  float z_loss = 0;       // weight of log-partition^2 in the gradient (PaLM, Chowdhery et al. 2022), never in the loss
};
// Of each token its loss (nats): cross-entropy of the capped logits. losses (T). packed_head is W (V, C) packed as
// B = Wᵀ (K = C, N = V). A token's loss does not depend on which others are there.
void head_loss(const HeadShape& shape, const void* x, const void* packed_head, const HeadOptions& options,
               const uint16_t* targets, double* losses, void* workspace);
// Returns the sum of the losses, and the gradients of loss_scale * (loss + z-loss): dx (T, C) float32 overwritten, dw
// (V, C) float32 accumulated. packed_head_transposed is W packed as B = W (K = V, N = C).
double head_loss_and_gradient(const HeadShape& shape, const void* x, const void* packed_head,
                              const void* packed_head_transposed, const HeadOptions& options, float loss_scale,
                              const uint16_t* targets, float* dx, float* dw, void* workspace);
// Logits of the last row only, for sampling: logits (V) float32.
void head_logits(const HeadShape& shape, const void* x_row, const void* packed_head, const HeadOptions& options,
                 float* logits);

}  // namespace flywheel::kernels
