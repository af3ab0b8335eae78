// Mamba-2 (Dao and Gu 2024), the state-space dual with one group: queries (C) and keys (B) shared by all heads, a
// scalar decay e^(-rate step) per head, values times the step, a skip per head; the output is gated, then normalised.
#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/gated_norm.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/split.h"
#include "engine/model/initialisation.h"
#include "engine/model/recurrent.h"

namespace flywheel::model {

using graph::ValueId;

ValueId mamba2(Builder& b, const MixerInput& input) {
  graph::RecurrenceAttributes a = recurrence_attributes(b);
  a.shared_keys = true;
  const int64_t values = int64_t{a.heads} * a.value_dim, qkv = 2 * a.key_dim + values;
  // Queries, keys, values, gate, steps.
  const ValueId in = b.fused(input.name + ".in", {a.key_dim, a.key_dim, values, values, a.heads}, b.size.width);
  const auto parts =
      graph::split(b.graph, graph::linear(b.graph, input.h, in, b.compute_dtype), {qkv, values, a.heads});
  const ValueId bias = b.ruled(input.name + ".step_bias", {a.heads}, initial_step_bias);
  const ValueId rate = b.ruled(input.name + ".log_rate", {a.heads}, initial_log_rate);
  const graph::Forgotten forget = graph::forget(b.graph, kernels::Forget::kStep, parts[2], bias, rate);
  const ValueId mixed = recur(b, input.name,
                              {.qkv = convolve(b, input.name, parts[0]),
                               .log_decay = forget.log_decay,
                               .beta = forget.beta,
                               .skip = b.vector(input.name + ".skip", a.heads, 1)},
                              a);
  const ValueId gain = b.vector(input.name + ".out_norm.gain", values, 1);
  const ValueId y = graph::gated_norm(b.graph, mixed, parts[1], gain, {.groups = 1, .gate_first = true});
  const ValueId out = b.matrix(input.name + ".out", b.size.width, values, true);
  return graph::linear(b.graph, y, out, tensor::Dtype::kFloat32);
}

}  // namespace flywheel::model
