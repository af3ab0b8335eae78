#include "engine/model/attending.h"

#include <cmath>

#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/qk_prepare.h"
#include "engine/graph/ops/sigmoid_gate.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

graph::AttentionAttributes attention_attributes(const Builder& b, int kv_heads, int64_t window) {
  // muP's 1/head_dim, scaled to agree with the usual rule at the base; head_dim is the same over a whole ladder.
  return {.heads = b.size.heads,
          .kv_heads = kv_heads,
          .head_dim = b.recipe.model.head_dim,
          .scale = 1.0f / std::sqrt(static_cast<float>(b.recipe.model.head_dim)),
          .window = window,
          .softcap = static_cast<float>(b.recipe.model.attention_softcap),
          .alibi = b.recipe.model.positions == recipe::Positions::kAlibi};
}

ValueId attention_sinks(Builder& b, const std::string& name) {
  return b.recipe.model.attention_sink ? b.vector(name + ".sinks", b.size.heads, 0) : kNoValue;
}

ValueId prepare_heads(Builder& b, ValueId x, int vectors, int width, int rotary) {
  const bool rope = b.recipe.model.positions == recipe::Positions::kRope;
  if (!rope && !b.recipe.model.qk_norm) return x;
  const Builder::Rotary tables = rope ? b.rotary(rotary) : Builder::Rotary{};
  return graph::qk_prepare(b.graph, x, tables.cosines, tables.sines,
                           {.vectors = vectors, .head_dim = width, .qk_norm = b.recipe.model.qk_norm}, b.position);
}

ValueId attention_output(Builder& b, const MixerInput& input, ValueId mixed) {
  const int64_t width = int64_t{b.size.heads} * b.recipe.model.head_dim;
  if (b.recipe.model.attention_gate) {
    const ValueId gate_weight = b.matrix(input.name + ".gate", width, b.size.width);
    mixed = graph::sigmoid_gate(b.graph, mixed, graph::linear(b.graph, input.h, gate_weight, b.compute_dtype));
  }
  const ValueId out_weight = b.matrix(input.name + ".out", b.size.width, width, true);
  return graph::linear(b.graph, mixed, out_weight, tensor::Dtype::kFloat32);
}

}  // namespace flywheel::model
