// Gated linear attention (Yang et al. 2023): S_t = diag(w_t) S_{t-1} + k_t v_tᵀ with a decay per key channel, the 16th
// root of a sigmoid of a low-rank projection; the output is normalised per head and gated.
#include <cmath>

#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/gated_norm.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/split.h"
#include "engine/model/recurrent.h"
#include "recipe/recurrent.h"

namespace flywheel::model {

using graph::ValueId;

ValueId gated_linear(Builder& b, const MixerInput& input) {
  graph::RecurrenceAttributes a = recurrence_attributes(b);
  a.channel_decay = true;
  a.query_scale = 1.0f / std::sqrt(static_cast<float>(a.key_dim));
  const int64_t keys = int64_t{a.heads} * a.key_dim, values = int64_t{a.heads} * a.value_dim, qkv = 2 * keys + values;
  // Queries, keys, values, gate, the forget gate's first factor.
  const ValueId in = b.fused(input.name + ".in", {keys, keys, values, values, recipe::kForgetRank}, b.size.width);
  const auto parts =
      graph::split(b.graph, graph::linear(b.graph, input.h, in, b.compute_dtype), {qkv, values, recipe::kForgetRank});
  const ValueId forget_weight = b.matrix(input.name + ".forget", keys, recipe::kForgetRank);
  const ValueId forget = graph::linear(b.graph, parts[2], forget_weight, b.compute_dtype);
  const ValueId bias = b.vector(input.name + ".forget_bias", keys, 0);
  const ValueId decay = graph::forget(b.graph, kernels::Forget::kRoot, forget, bias).log_decay;
  const ValueId mixed = recur(b, input.name, {.qkv = convolve(b, input.name, parts[0]), .log_decay = decay}, a);
  const ValueId gain = b.vector(input.name + ".out_norm.gain", values, 1);
  const ValueId y = graph::gated_norm(b.graph, mixed, parts[1], gain, {.groups = a.heads});
  const ValueId out = b.matrix(input.name + ".out", b.size.width, values, true);
  return graph::linear(b.graph, y, out, tensor::Dtype::kFloat32);
}

}  // namespace flywheel::model
