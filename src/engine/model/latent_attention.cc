// Multi-head latent attention (DeepSeek-V2 2024): keys and values of all heads are linear functions of a normalised
// latent per token; with rotary positions, the first part of every key is one rotated vector that the heads share.
// Queries are plain. A cache holds the latents and the rotary keys only.
#include "engine/graph/ops/latent.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/norm.h"
#include "engine/model/attending.h"
#include "recipe/mixers.h"

namespace flywheel::model {
namespace {

using graph::kNoValue;
using graph::ValueId;

// QK-norm is over whole queries and over the rotary keys; the latent's own norm stands in for that of the rest.
struct Parts {
  ValueId query, latent, rotary_key = kNoValue, up;
};
Parts parts_of(Builder& b, const MixerInput& input) {
  const int head_dim = b.recipe.model.head_dim, heads = b.size.heads, latent_dim = latent_width(b.recipe);
  const int rotary =
      b.recipe.model.positions == recipe::Positions::kRope ? recipe::rotary_width(b.recipe, recipe::Mixer::kLatent) : 0;
  Parts parts;
  const ValueId query_weight = b.matrix(input.name + ".query", int64_t{heads} * head_dim, b.size.width);
  parts.query = graph::linear(b.graph, input.h, query_weight, b.compute_dtype);
  parts.query = prepare_heads(b, parts.query, heads, head_dim, rotary);
  const ValueId latent_weight = b.matrix(input.name + ".latent", latent_dim, b.size.width);
  const ValueId latent = graph::linear(b.graph, input.h, latent_weight, tensor::Dtype::kFloat32);
  const ValueId gain = b.vector(input.name + ".latent_norm.gain", latent_dim, 1);
  parts.latent = graph::norm(b.graph, false, latent, gain, kNoValue, b.compute_dtype);
  if (rotary > 0) {
    const ValueId key_weight = b.matrix(input.name + ".rotary_key", rotary, b.size.width);
    parts.rotary_key = graph::linear(b.graph, input.h, key_weight, b.compute_dtype);
    parts.rotary_key = prepare_heads(b, parts.rotary_key, 1, rotary, rotary);
  }
  const int64_t keys = int64_t{heads} * (head_dim - rotary), values = int64_t{heads} * head_dim;
  parts.up = b.fused(input.name + ".up", {keys, values}, latent_dim);
  return parts;
}

}  // namespace

ValueId latent_attention(Builder& b, const MixerInput& input) {
  const Parts parts = parts_of(b, input);
  const graph::AttentionAttributes attributes = attention_attributes(b, b.size.heads, 0);
  const ValueId sinks = attention_sinks(b, input.name);
  if (!b.recurrent()) {
    const ValueId expanded = graph::linear(b.graph, parts.latent, parts.up, b.compute_dtype);
    const ValueId qkv = graph::latent_qkv(b.graph, parts.query, parts.rotary_key, expanded, b.size.heads);
    return attention_output(b, input, graph::attention(b.graph, qkv, attributes, sinks));
  }
  const auto cache = [&](const char* name, ValueId row) {
    if (row == kNoValue) return kNoValue;
    return b.graph.state(input.name + name, {b.size.context, b.graph.value(row).shape[1]}, b.compute_dtype);
  };
  const graph::LatentAttentionInputs inputs{.query = parts.query,
                                            .latent = parts.latent,
                                            .rotary_key = parts.rotary_key,
                                            .up = parts.up,
                                            .latents = cache(".latents", parts.latent),
                                            .rotary_keys = cache(".rotary_keys", parts.rotary_key),
                                            .position = b.position,
                                            .sinks = sinks};
  return attention_output(b, input, graph::latent_attention_cached(b.graph, inputs, attributes));
}

}  // namespace flywheel::model
