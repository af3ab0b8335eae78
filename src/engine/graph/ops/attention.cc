#include "engine/graph/ops/attention.h"

#include <algorithm>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/slower.h"

namespace flywheel::graph {
namespace {

kernels::AttentionShape shape_of(const Graph& graph, const Node& node) {
  const auto a = node.attributes.as<AttentionAttributes>();
  const tensor::Shape& qkv = graph.value(node.inputs[0]).shape;
  return {.tokens = qkv[0],
          .heads = a.heads,
          .kv_heads = a.kv_heads,
          .head_dim = a.head_dim,
          .qkv_stride = qkv[1],
          .out_stride = int64_t{a.heads} * a.head_dim,
          .scale = a.scale,
          .window = a.window,
          .softcap = a.softcap,
          .alibi = a.alibi};
}

// Inputs: qkv, sinks?. Outputs: out, log_sum_exp (H, T).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& qkv = graph.value(node.inputs[0]);
  const auto a = node.attributes.as<AttentionAttributes>();
  CHECK(a.heads % a.kv_heads == 0 && qkv.shape[1] == int64_t{a.heads + 2 * a.kv_heads} * a.head_dim, "{}",
        graph.describe(node));
  CHECK(node.inputs[1] == kNoValue || graph.value(node.inputs[1]).shape == tensor::Shape{a.heads}, "{}",
        graph.describe(node));
  return {{tensor::Shape{qkv.shape[0], int64_t{a.heads} * a.head_dim}, qkv.dtype},
          {tensor::Shape{a.heads, qkv.shape[0]}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId sinks = node.inputs[1];
  const ValueId dqkv = backward.graph.append(
      kAttentionBackward, {node.inputs[0], node.outputs[0], backward.gradient(node.outputs[0]), node.outputs[1], sinks},
      node.attributes, {sinks == kNoValue ? kNoValue : backward.parameter_gradient(sinks)})[0];
  backward.add_gradient(node.inputs[0], dqkv);
}

// Scores and weighted values, of the causal half or of the window's band in it.
double flops(const Graph& graph, const Node& node) {
  const kernels::AttentionShape s = shape_of(graph, node);
  const int64_t window = s.window > 0 ? std::min(s.window, s.tokens) : s.tokens;
  return 2.0 * static_cast<double>(window) * static_cast<double>(2 * s.tokens - window) * s.heads * s.head_dim;
}
double backward_flops(const Graph& graph, const Node& node) {
  return 2.0 * flops(graph, node);
}

int64_t workspace(const Graph& graph, const Node& node) {
  return kernels::attention_workspace_bytes(shape_of(graph, node), graph.value(node.inputs[0]).dtype);
}

const char* slower(const Graph& graph, const Node& node) {
  return kernels::slower_attention(node.attributes.as<AttentionAttributes>().head_dim);
}

void run_cpu(const KernelArguments& a) {
  kernels::AttentionShape shape = shape_of(a.graph, a.node);
  shape.sinks = a.in<float>(1);
  kernels::attention_forward(shape, a.in_value(0).dtype, a.inputs[0], a.outputs[0], a.out<float>(1), a.workspace);
}

// Inputs: qkv, out, dout, log_sum_exp, sinks?. Outputs: dqkv, gradient of sinks?.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& qkv = graph.value(node.inputs[0]);
  CHECK(graph.value(node.inputs[2]).dtype == qkv.dtype, "{}", graph.describe(node));
  return {{qkv.shape, qkv.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  kernels::AttentionShape shape = shape_of(a.graph, a.node);
  shape.sinks = a.in<float>(4);
  kernels::attention_backward(shape, a.in_value(0).dtype, a.inputs[0], a.inputs[1], a.inputs[2], a.in<float>(3),
                              a.outputs[0], a.out<float>(1), a.workspace);
}

}  // namespace

const Op kAttention{.name = "attention",
                    .infer = infer,
                    .vjp = vjp,
                    .flops = flops,
                    .workspace_bytes = workspace,
                    .slower = slower,
                    .kernels = {run_cpu}};
const Op kAttentionBackward{.name = "attention_backward",
                            .infer = infer_backward,
                            .vjp = nullptr,
                            .flops = backward_flops,
                            .workspace_bytes = workspace,
                            .kernels = {run_backward_cpu}};

ValueId attention(Graph& graph, ValueId qkv, const AttentionAttributes& attributes, ValueId sinks) {
  return graph.append(kAttention, {qkv, sinks}, Attributes::of(attributes))[0];
}

}  // namespace flywheel::graph
