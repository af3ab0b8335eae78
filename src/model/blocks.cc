#include "model/blocks.h"

#include <cmath>

#include "graph/ops/activation.h"
#include "graph/ops/add.h"
#include "graph/ops/attention.h"
#include "graph/ops/embedding.h"
#include "graph/ops/linear.h"
#include "graph/ops/norm.h"
#include "graph/ops/qk_prepare.h"
#include "graph/ops/scale.h"
#include "graph/ops/swiglu.h"
#include "kernels/attention.h"
#include "model/initialisation.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

namespace {

// What a block gives, put back into the stream.
ValueId add_to_stream(Builder& b, ValueId x, ValueId y) {
  const double multiplier = residual_multiplier(b.recipe, b.size);
  return graph::add(b.graph, x, multiplier == 1 ? y : graph::scale(b.graph, y, static_cast<float>(multiplier)));
}

}  // namespace

Builder::Builder(const Recipe& r, const Size& s, Dtype dtype, ParameterTable& parameters, graph::Graph& g)
    : recipe(r), size(s), compute_dtype(dtype), graph(g), parameters_(parameters) {}

ValueId Builder::declare(ParameterInfo info) {
  const ParameterInfo& placed = parameters_.declare(std::move(info));
  return graph.parameter(placed.name, placed.shape, placed.offset);
}

ValueId Builder::matrix(const std::string& name, int64_t out, int64_t in, bool writes_residual) {
  const double sd = matrix_initial_sd(recipe, size, static_cast<double>(in), writes_residual);
  return declare({.name = name, .shape = {out, in}, .group = ParameterGroup::kMatrix, .initial_sd = sd});
}

ValueId Builder::table(const std::string& name, int64_t rows, int64_t columns) {
  return declare({.name = name,
                  .shape = {rows, columns},
                  .group = ParameterGroup::kEmbedding,
                  .initial_sd = table_initial_sd(recipe)});
}

ValueId Builder::head(const std::string& name, int64_t rows, int64_t columns) {
  return declare(
      {.name = name, .shape = {rows, columns}, .group = ParameterGroup::kHead, .initial_sd = kHeadInitialSd});
}

ValueId Builder::vector(const std::string& name, int64_t elements, double initial_value) {
  return declare({.name = name, .shape = {elements}, .group = ParameterGroup::kVector, .initial_value = initial_value});
}

Builder::Rotary Builder::rotary() {
  if (rotary_.cosines != kNoValue) return rotary_;
  const Shape shape{size.context, recipe.model.head_dim / 2};
  std::vector<float> cosines(static_cast<size_t>(shape.elements())), sines(cosines.size());
  kernels::rope_table(size.context, recipe.model.head_dim, recipe.model.rope_base, cosines.data(), sines.data());
  rotary_ = {graph.constant("rotary.cosines", shape, std::move(cosines)),
             graph.constant("rotary.sines", shape, std::move(sines))};
  return rotary_;
}

ValueId embed(Builder& b, ValueId tokens) {
  const ValueId table = b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  const bool learned = b.recipe.model.positions == Positions::kLearned;
  const ValueId positions = learned ? b.table("embedding.positions", b.size.context, b.size.width) : kNoValue;
  return graph::embedding(b.graph, tokens, table, positions);
}

ValueId normalise(Builder& b, const std::string& name, ValueId x) {
  const bool layer_norm = b.recipe.model.norm == NormKind::kLayerNorm;
  const ValueId gain = b.vector(name + ".gain", b.size.width, 1);
  const ValueId bias = layer_norm ? b.vector(name + ".bias", b.size.width, 0) : kNoValue;
  return graph::norm(b.graph, layer_norm, x, gain, bias, b.compute_dtype);
}

ValueId attention_block(Builder& b, const std::string& name, ValueId x) {
  const int head_dim = b.recipe.model.head_dim, heads = b.size.heads, kv_heads = b.size.kv_heads;
  const bool rope = b.recipe.model.positions == Positions::kRope;
  const ValueId h = normalise(b, name + ".norm", x);
  const ValueId qkv_weight = b.matrix(name + ".qkv", int64_t{heads + 2 * kv_heads} * head_dim, b.size.width);
  ValueId qkv = graph::linear(b.graph, h, qkv_weight, b.compute_dtype);
  if (rope || b.recipe.model.qk_norm) {
    const Builder::Rotary rotary = rope ? b.rotary() : Builder::Rotary{};
    qkv = graph::qk_prepare(b.graph, qkv, rotary.cosines, rotary.sines,
                            {.vectors = heads + kv_heads, .head_dim = head_dim, .qk_norm = b.recipe.model.qk_norm});
  }
  // muP's 1/head_dim, scaled to agree with the usual rule at the base; head_dim is the same over a whole ladder.
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  const ValueId mixed =
      graph::attention(b.graph, qkv, {.heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .scale = scale});
  const ValueId out_weight = b.matrix(name + ".out", b.size.width, int64_t{heads} * head_dim, true);
  return add_to_stream(b, x, graph::linear(b.graph, mixed, out_weight, Dtype::kFloat32));
}

ValueId feed_forward_block(Builder& b, const std::string& name, ValueId x) {
  const int64_t width = b.size.width, hidden = b.size.feed_forward;
  const ValueId h = normalise(b, name + ".norm", x);
  ValueId y = kNoValue;
  if (b.recipe.model.feed_forward == FeedForward::kSwiglu) {
    y = graph::swiglu(b.graph,
                      graph::linear(b.graph, h, b.matrix(name + ".gate_up", 2 * hidden, width), b.compute_dtype));
  } else {
    const kernels::Activation kind = b.recipe.model.feed_forward == FeedForward::kGelu
                                         ? kernels::Activation::kGelu
                                         : kernels::Activation::kReluSquared;
    y = graph::activation(b.graph, kind,
                          graph::linear(b.graph, h, b.matrix(name + ".up", hidden, width), b.compute_dtype));
  }
  const ValueId down = b.matrix(name + ".down", width, hidden, true);
  return add_to_stream(b, x, graph::linear(b.graph, y, down, Dtype::kFloat32));
}

ValueId decoder(Builder& b, ValueId tokens) {
  ValueId x = embed(b, tokens);
  for (int layer = 0; layer < b.size.layers; ++layer) {
    const std::string name = fmt::format("blocks.{}", layer);
    x = attention_block(b, name + ".attention", x);
    x = feed_forward_block(b, name + ".feed_forward", x);
  }
  return normalise(b, "norm", x);
}

ValueId head_weight(Builder& b) {
  if (b.recipe.model.tied_head) return b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  return b.head("head", b.size.vocabulary, b.size.width);
}

float logit_scale(const Recipe& recipe, const Size& size) {
  if (recipe.initialisation.transfer == Transfer::kStandard) return 1;
  return static_cast<float>(recipe.initialisation.base_width) / static_cast<float>(size.width);
}

}  // namespace flywheel::model
