#include "engine/graph/ops/gated_norm.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/gates.h"

namespace flywheel::graph {
namespace {

kernels::GatedNormShape shape_of(const Node& node, const Value& x) {
  const auto a = node.attributes.as<GatedNormAttributes>();
  return {.tokens = x.shape[0], .groups = a.groups, .group_width = x.shape[1] / a.groups, .gate_first = a.gate_first};
}

// Inputs: x, gate, gain. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &gate = graph.value(node.inputs[1]);
  CHECK(x.shape == gate.shape && x.dtype == gate.dtype &&
            graph.value(node.inputs[2]).shape == tensor::Shape{x.shape[1]} &&
            x.shape[1] % node.attributes.as<GatedNormAttributes>().groups == 0,
        "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const auto outputs = backward.graph.append(
      kGatedNormBackward, {node.inputs[0], node.inputs[1], node.inputs[2], backward.gradient(node.outputs[0])},
      node.attributes, {backward.parameter_gradient(node.inputs[2])});
  backward.add_gradient(node.inputs[0], outputs[0]);
  backward.add_gradient(node.inputs[1], outputs[1]);
}

void run_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::gated_norm_forward(shape_of(a.node, x), x.dtype, a.inputs[0], a.inputs[1], a.in<float>(2), a.outputs[0]);
}

// Inputs: x, gate, gain, dy. Outputs: dx, dgate, gradient of gain.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &dy = graph.value(node.inputs[3]);
  CHECK(dy.dtype == x.dtype, "{}", graph.describe(node));
  return {{x.shape, x.dtype}, {x.shape, x.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::gated_norm_backward(shape_of(a.node, x), x.dtype, a.inputs[0], a.inputs[1], a.in<float>(2), a.inputs[3],
                               a.outputs[0], a.outputs[1], a.out<float>(2));
}

}  // namespace

const Op kGatedNorm{.name = "gated_norm", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kGatedNormBackward{
    .name = "gated_norm_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId gated_norm(Graph& graph, ValueId x, ValueId gate, ValueId gain, const GatedNormAttributes& attributes) {
  return graph.append(kGatedNorm, {x, gate, gain}, Attributes::of(attributes))[0];
}

}  // namespace flywheel::graph
