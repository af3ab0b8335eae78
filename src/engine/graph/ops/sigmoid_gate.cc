#include "engine/graph/ops/sigmoid_gate.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/heads.h"

namespace flywheel::graph {
namespace {

// Inputs: x, gate. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &gate = graph.value(node.inputs[1]);
  CHECK(x.shape == gate.shape && x.dtype == gate.dtype, "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const std::vector<ValueId> gradients = backward.graph.append(
      kSigmoidGateBackward, {node.inputs[0], node.inputs[1], backward.gradient(node.outputs[0])}, node.attributes);
  backward.add_gradient(node.inputs[0], gradients[0]);
  backward.add_gradient(node.inputs[1], gradients[1]);
}

void run_cpu(const KernelArguments& a) {
  const Value& y = a.out_value(0);
  kernels::gate_forward(a.inputs[0], a.inputs[1], a.outputs[0], y.dtype, y.shape.elements());
}

// Inputs: x, gate, dy. Outputs: dx, dgate.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &dy = graph.value(node.inputs[2]);
  CHECK(x.dtype == dy.dtype, "{}", graph.describe(node));
  return {{x.shape, x.dtype}, {x.shape, x.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::gate_backward(a.inputs[0], a.inputs[1], a.inputs[2], a.outputs[0], a.outputs[1], x.dtype,
                         x.shape.elements());
}

}  // namespace

const Op kSigmoidGate{.name = "sigmoid_gate", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kSigmoidGateBackward{
    .name = "sigmoid_gate_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId sigmoid_gate(Graph& graph, ValueId x, ValueId gate) {
  return graph.append(kSigmoidGate, {x, gate})[0];
}

}  // namespace flywheel::graph
