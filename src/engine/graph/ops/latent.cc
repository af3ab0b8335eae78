#include "engine/graph/ops/latent.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention_cached.h"
#include "engine/kernels/heads.h"

namespace flywheel::graph {
namespace {

kernels::LatentShape shape_of(const Node& node, const Value& query, const Value* rotary_key) {
  const int heads = node.attributes.as<int>();
  return {.tokens = query.shape[0],
          .heads = heads,
          .head_dim = static_cast<int>(query.shape[1] / heads),
          .rotary = rotary_key ? static_cast<int>(rotary_key->shape[1]) : 0};
}

// Inputs: query, rotary_key?, expanded. Output: qkv.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &query = graph.value(node.inputs[0]), &expanded = graph.value(node.inputs[2]);
  const Value* rotary_key = node.inputs[1] == kNoValue ? nullptr : &graph.value(node.inputs[1]);
  const kernels::LatentShape s = shape_of(node, query, rotary_key);
  CHECK(query.shape[1] == int64_t{s.heads} * s.head_dim && s.rotary < s.head_dim &&
            expanded.shape[1] == int64_t{s.heads} * (2 * s.head_dim - s.rotary) && expanded.dtype == query.dtype,
        "{}", graph.describe(node));
  return {{tensor::Shape{query.shape[0], 3 * query.shape[1]}, query.dtype}};
}

// Shapes are those of the forward's inputs.
void vjp(Backward& backward, const Node& node) {
  const std::vector<ValueId> gradients = backward.graph.append(
      kLatentQkvBackward, {backward.gradient(node.outputs[0]), node.inputs[0], node.inputs[1], node.inputs[2]},
      node.attributes);
  backward.add_gradient(node.inputs[0], gradients[0]);
  backward.add_gradient(node.inputs[2], gradients[1]);
  if (node.inputs[1] != kNoValue) backward.add_gradient(node.inputs[1], gradients[2]);
}

void run_cpu(const KernelArguments& a) {
  const Value& query = a.in_value(0);
  const Value* rotary_key = a.node.inputs[1] == kNoValue ? nullptr : &a.in_value(1);
  kernels::latent_qkv_forward(shape_of(a.node, query, rotary_key), query.dtype, a.inputs[0], a.inputs[1], a.inputs[2],
                              a.outputs[0]);
}

// Inputs: dqkv, and the forward's inputs for their shapes. Outputs: dquery, dexpanded, drotary_key (with rotary_key).
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &dqkv = graph.value(node.inputs[0]), &query = graph.value(node.inputs[1]);
  CHECK(dqkv.dtype == query.dtype, "{}", graph.describe(node));
  std::vector<TensorType> types = {{query.shape, query.dtype}, {graph.value(node.inputs[3]).shape, query.dtype}};
  if (node.inputs[2] != kNoValue) types.push_back({graph.value(node.inputs[2]).shape, query.dtype});
  return types;
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& query = a.in_value(1);
  const bool rotary = a.node.inputs[2] != kNoValue;
  kernels::latent_qkv_backward(shape_of(a.node, query, rotary ? &a.in_value(2) : nullptr), query.dtype, a.inputs[0],
                               a.outputs[0], rotary ? a.outputs[2] : nullptr, a.outputs[1]);
}

// Inputs: as LatentAttentionInputs. Output: out.
std::vector<TensorType> infer_cached(const Graph& graph, const Node& node) {
  const Value &query = graph.value(node.inputs[0]), &latent = graph.value(node.inputs[1]),
              &latents = graph.value(node.inputs[4]);
  const auto a = node.attributes.as<AttentionAttributes>();
  CHECK(query.shape == (tensor::Shape{1, int64_t{a.heads} * a.head_dim}) && latent.dtype == query.dtype &&
            latents.storage == Storage::kState && latents.dtype == query.dtype && latents.shape[1] == latent.shape[1] &&
            graph.value(node.inputs[3]).shape[1] == latent.shape[1],
        "{}", graph.describe(node));
  return {{query.shape, query.dtype}};
}

void run_cached_cpu(const KernelArguments& a) {
  const kernels::LatentAttentionShape shape{
      .attention = cached_shape(a.node, a.in<float>(7)),
      .latent = static_cast<int>(a.in_value(1).shape[1]),
      .rotary = a.node.inputs[2] == kNoValue ? 0 : static_cast<int>(a.in_value(2).shape[1])};
  kernels::latent_attention_cached(shape, a.in_value(0).dtype, a.inputs[0], a.inputs[1], a.inputs[2], a.in<float>(3),
                                   a.inputs[4], a.inputs[5], *a.in<int32_t>(6), a.outputs[0],
                                   static_cast<float*>(a.workspace));
}

// The scores of one head, its folded query and its mixture of latents.
int64_t workspace(const Graph& graph, const Node& node) {
  const tensor::Shape& latents = graph.value(node.inputs[4]).shape;
  return (latents[0] + 2 * latents[1]) * int64_t{sizeof(float)};
}

}  // namespace

const Op kLatentQkv{.name = "latent_qkv", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kLatentQkvBackward{
    .name = "latent_qkv_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};
const Op kLatentAttentionCached{.name = "latent_attention_cached",
                                .infer = infer_cached,
                                .vjp = nullptr,
                                .workspace_bytes = workspace,
                                .kernels = {run_cached_cpu}};

ValueId latent_qkv(Graph& graph, ValueId query, ValueId rotary_key, ValueId expanded, int heads) {
  return graph.append(kLatentQkv, {query, rotary_key, expanded}, Attributes::of(heads))[0];
}

ValueId latent_attention_cached(Graph& graph, const LatentAttentionInputs& in, const AttentionAttributes& attributes) {
  return graph.append(kLatentAttentionCached,
                      {in.query, in.latent, in.rotary_key, in.up, in.latents, in.rotary_keys, in.position, in.sinks},
                      Attributes::of(attributes))[0];
}

}  // namespace flywheel::graph
