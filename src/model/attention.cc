// Softmax attention: multi-head, grouped-query or multi-query by model.kv_group.
#include "graph/ops/attention.h"

#include <cmath>

#include "graph/ops/linear.h"
#include "graph/ops/qk_prepare.h"
#include "model/recurrent.h"

namespace flywheel::model {
namespace {

using graph::kNoValue;
using graph::ValueId;

// Keys and values of earlier tokens are states.
ValueId attention_over_cache(Builder& b, const std::string& name, ValueId qkv,
                             const graph::AttentionAttributes& attributes) {
  const Shape cache{b.size.context, int64_t{attributes.kv_heads} * attributes.head_dim};
  const ValueId keys = b.graph.state(name + ".keys", cache, b.compute_dtype);
  const ValueId values = b.graph.state(name + ".values", cache, b.compute_dtype);
  return graph::attention_cached(b.graph, qkv, keys, values, b.position, attributes);
}

}  // namespace

ValueId attention(Builder& b, const MixerInput& input) {
  const int head_dim = b.recipe.model.head_dim, heads = b.size.heads, kv_heads = b.size.kv_heads;
  const bool rope = b.recipe.model.positions == Positions::kRope;
  const ValueId qkv_weight = b.matrix(input.name + ".qkv", int64_t{heads + 2 * kv_heads} * head_dim, b.size.width);
  ValueId qkv = convolve(b, input.name, graph::linear(b.graph, input.h, qkv_weight, b.compute_dtype));
  if (rope || b.recipe.model.qk_norm) {
    const Builder::Rotary rotary = rope ? b.rotary() : Builder::Rotary{};
    qkv = graph::qk_prepare(b.graph, qkv, rotary.cosines, rotary.sines,
                            {.vectors = heads + kv_heads, .head_dim = head_dim, .qk_norm = b.recipe.model.qk_norm},
                            b.position);
  }
  // muP's 1/head_dim, scaled to agree with the usual rule at the base; head_dim is the same over a whole ladder.
  const graph::AttentionAttributes attributes{.heads = heads,
                                              .kv_heads = kv_heads,
                                              .head_dim = head_dim,
                                              .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
  const ValueId mixed =
      b.recurrent() ? attention_over_cache(b, input.name, qkv, attributes) : graph::attention(b.graph, qkv, attributes);
  const ValueId out_weight = b.matrix(input.name + ".out", b.size.width, int64_t{heads} * head_dim, true);
  return graph::linear(b.graph, mixed, out_weight, Dtype::kFloat32);
}

}  // namespace flywheel::model
