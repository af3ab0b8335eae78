// The linear recurrence behind every mixer that is not attention, for each head with a state S (K, V):
//   S_t = diag(w_t) S_{t-1} + b_t (a_tᵀ S_{t-1}) + k_t v_tᵀ,   o_t = q_tᵀ S_t + d v_t
// In chunks for training (as Yang et al. 2023 and 2024 and Dao and Gu 2024 do it), a token at a time for sampling.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

enum class Delta : uint8_t {
  kNone,   // decay only: gated linear attention, Mamba-2
  kBeta,   // gated delta rule: a = k, b = -w beta k; the decay is a scalar
  kGiven,  // a and b are inputs: RWKV-7
};

struct RecurrenceShape {
  int64_t tokens = 0;                         // T, of one sequence
  int heads = 0, key_dim = 0, value_dim = 0;  // H, K, V
  bool shared_keys = false;                   // one query and key for all heads
  bool channel_decay = false;                 // a decay per key channel, else one per head
  bool unit_keys = false;                     // queries and keys are first divided by their length
  Delta delta = Delta::kNone;
  float query_scale = 1;

  int64_t key_heads() const { return shared_keys ? 1 : heads; }
  int64_t value_at() const { return 2 * key_heads() * key_dim; }  // columns of qkv before the values
  int64_t qkv_width() const { return value_at() + int64_t{heads} * value_dim; }
  int64_t decay_width() const { return channel_decay ? int64_t{heads} * key_dim : heads; }
};

// qkv and ab have one dtype, float32 or bfloat16; the rest is float32 and so is all that is computed.
struct RecurrenceInputs {
  const void* qkv = nullptr;         // (T, qkv_width): queries of all heads, then keys, then values
  const float* log_decay = nullptr;  // (T, decay_width): log w, at most 0
  const float* beta = nullptr;       // (T, H): factor of k where it meets v; null: 1
  const void* ab = nullptr;          // (T, 2 H K): a of all heads, then b; Delta::kGiven only
  const float* skip = nullptr;       // (H): d; null: 0
};
// All overwritten but dskip, which is added to. Null where the input is.
struct RecurrenceGradients {
  void* qkv = nullptr;
  float* log_decay = nullptr;
  float* beta = nullptr;
  void* ab = nullptr;
  float* skip = nullptr;
};

int64_t recurrence_workspace_bytes(const RecurrenceShape& shape);
// Float32 elements of the states that forward leaves for backward: one per head and span of tokens.
int64_t recurrence_state_elements(const RecurrenceShape& shape);
// out (T, H V), dtype as qkv.
void recurrence_forward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs, void* out,
                        float* states, void* workspace);
void recurrence_backward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs,
                         const float* states, const void* dout, const RecurrenceGradients& gradients, void* workspace);
// One token (shape.tokens is 1): state (H, K, V) float32 is read and written.
void recurrence_step(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs, float* state,
                     void* out);

// 1 / length, as unit_keys takes it; the constant keeps zero vectors zero.
inline constexpr float kUnitEpsilon = 1e-6f;

}  // namespace flywheel::kernels
