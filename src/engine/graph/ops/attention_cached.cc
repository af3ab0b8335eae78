// One token's attention over a cache of keys and values: the form that sampling runs.
#include "engine/kernels/attention_cached.h"

#include "base/check.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/attention.h"

namespace flywheel::graph {
namespace {

// Inputs: qkv, keys (state), values (state), position, sinks?. Output: out.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &qkv = graph.value(node.inputs[0]), &keys = graph.value(node.inputs[1]);
  const auto a = node.attributes.as<AttentionAttributes>();
  CHECK(qkv.shape[0] == 1 && qkv.shape[1] == int64_t{a.heads + 2 * a.kv_heads} * a.head_dim &&
            keys.storage == Storage::kState && keys.dtype == qkv.dtype &&
            keys.shape[1] == int64_t{a.kv_heads} * a.head_dim && graph.value(node.inputs[2]).shape == keys.shape,
        "{}", graph.describe(node));
  return {{tensor::Shape{1, int64_t{a.heads} * a.head_dim}, qkv.dtype}};
}

void run_cpu(const KernelArguments& a) {
  kernels::attention_cached(cached_shape(a.node, a.in<float>(4)), a.in_value(0).dtype, a.inputs[0], a.inputs[1],
                            a.inputs[2], *a.in<int32_t>(3), a.outputs[0], static_cast<float*>(a.workspace));
}

// The scores of one head.
int64_t workspace(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[1]).shape[0] * int64_t{sizeof(float)};
}

}  // namespace

const Op kAttentionCached{
    .name = "attention_cached", .infer = infer, .vjp = nullptr, .workspace_bytes = workspace, .kernels = {run_cpu}};

ValueId attention_cached(Graph& graph, ValueId qkv, ValueId keys, ValueId values, ValueId position,
                         const AttentionAttributes& attributes, ValueId sinks) {
  return graph.append(kAttentionCached, {qkv, keys, values, position, sinks}, Attributes::of(attributes))[0];
}

kernels::CachedAttentionShape cached_shape(const Node& node, const float* sinks) {
  const auto a = node.attributes.as<AttentionAttributes>();
  return {.heads = a.heads,
          .kv_heads = a.kv_heads,
          .head_dim = a.head_dim,
          .scale = a.scale,
          .window = a.window,
          .softcap = a.softcap,
          .alibi = a.alibi,
          .sinks = sinks};
}

}  // namespace flywheel::graph
