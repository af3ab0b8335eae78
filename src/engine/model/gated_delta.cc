// The gated delta rule (Yang et al. 2024): S_t = w_t (1 - beta k kᵀ) S_{t-1} + beta k vᵀ. What the state holds for a
// key is replaced rather than added to. Keys and queries have unit length; the output is normalised per head and gated.
#include <cmath>

#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/gated_norm.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/split.h"
#include "engine/model/initialisation.h"
#include "engine/model/recurrent.h"

namespace flywheel::model {

using graph::ValueId;

ValueId gated_delta(Builder& b, const MixerInput& input) {
  graph::RecurrenceAttributes a = recurrence_attributes(b);
  a.unit_keys = true;
  a.delta = kernels::Delta::kBeta;
  a.query_scale = 1.0f / std::sqrt(static_cast<float>(a.key_dim));
  const int64_t keys = int64_t{a.heads} * a.key_dim, values = int64_t{a.heads} * a.value_dim, qkv = 2 * keys + values;
  // Queries, keys, values, gate, steps, betas.
  const ValueId in = b.fused(input.name + ".in", {keys, keys, values, values, a.heads, a.heads}, b.size.width);
  const auto parts =
      graph::split(b.graph, graph::linear(b.graph, input.h, in, b.compute_dtype), {qkv, values, 2 * a.heads});
  const ValueId bias = b.ruled(input.name + ".step_bias", {a.heads}, initial_step_bias);
  const ValueId rate = b.ruled(input.name + ".log_rate", {a.heads}, initial_log_rate);
  const graph::Forgotten forget = graph::forget(b.graph, kernels::Forget::kDelta, parts[2], bias, rate);
  const ValueId mixed = recur(
      b, input.name, {.qkv = convolve(b, input.name, parts[0]), .log_decay = forget.log_decay, .beta = forget.beta}, a);
  const ValueId gain = b.vector(input.name + ".out_norm.gain", values, 1);
  const ValueId y = graph::gated_norm(b.graph, mixed, parts[1], gain, {.groups = a.heads});
  const ValueId out = b.matrix(input.name + ".out", b.size.width, values, true);
  return graph::linear(b.graph, y, out, tensor::Dtype::kFloat32);
}

}  // namespace flywheel::model
