// Softmax attention over all tokens before or over a sliding window of them (Beltagy et al. 2020): multi-head,
// grouped-query or multi-query by model.kv_group (Ainslie et al. 2023).
#include "engine/graph/ops/attention.h"

#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/value_residual.h"
#include "engine/model/attending.h"
#include "engine/model/recurrent.h"
#include "recipe/mixers.h"

namespace flywheel::model {
namespace {

using graph::kNoValue;
using graph::ValueId;

// Values of layers after the first become (1 - share) of their own and `share` of the first layer's (ResFormer, Zhou et
// al. 2024, learned per layer).
ValueId with_first_values(Builder& b, const std::string& name, ValueId qkv) {
  if (!b.recipe.model.value_residual) return qkv;
  if (b.first_values == kNoValue) {
    b.first_values = graph::values(b.graph, qkv, int64_t{b.size.kv_heads} * b.recipe.model.head_dim);
    return qkv;
  }
  return graph::value_residual(b.graph, qkv, b.first_values, b.vector(name + ".first_value_share", 1, 0.5));
}

// Keys and values of earlier tokens are states.
ValueId attention_over_cache(Builder& b, const std::string& name, ValueId qkv,
                             const graph::AttentionAttributes& attributes, ValueId sinks) {
  const tensor::Shape cache{b.size.context, int64_t{attributes.kv_heads} * attributes.head_dim};
  const ValueId keys = b.graph.state(name + ".keys", cache, b.compute_dtype);
  const ValueId values = b.graph.state(name + ".values", cache, b.compute_dtype);
  return graph::attention_cached(b.graph, qkv, keys, values, b.position, attributes, sinks);
}

ValueId attend(Builder& b, const MixerInput& input, recipe::Mixer mixer, int64_t window) {
  const int head_dim = b.recipe.model.head_dim, heads = b.size.heads, kv_heads = b.size.kv_heads;
  const int64_t queries = int64_t{heads} * head_dim, keys = int64_t{kv_heads} * head_dim;
  const ValueId qkv_weight = b.fused(input.name + ".qkv", {queries, keys, keys}, b.size.width);
  ValueId qkv = graph::linear(b.graph, input.h, qkv_weight, b.compute_dtype);
  qkv = convolve(b, input.name, qkv);
  qkv = prepare_heads(b, qkv, heads + kv_heads, head_dim, recipe::rotary_width(b.recipe, mixer));
  qkv = with_first_values(b, input.name, qkv);
  const graph::AttentionAttributes attributes = attention_attributes(b, kv_heads, window);
  const ValueId sinks = attention_sinks(b, input.name);
  return attention_output(b, input,
                          b.recurrent() ? attention_over_cache(b, input.name, qkv, attributes, sinks)
                                        : graph::attention(b.graph, qkv, attributes, sinks));
}

}  // namespace

ValueId attention(Builder& b, const MixerInput& input) {
  return attend(b, input, recipe::Mixer::kAttention, 0);
}

ValueId window_attention(Builder& b, const MixerInput& input) {
  return attend(b, input, recipe::Mixer::kWindow, b.recipe.model.window);
}

}  // namespace flywheel::model
