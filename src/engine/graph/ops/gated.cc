#include "engine/graph/ops/gated.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Input: gate_up. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& gate_up = graph.value(node.inputs[0]);
  CHECK(gate_up.shape.rank == 2 && gate_up.shape[1] % 2 == 0, "{}", graph.describe(node));
  return {{tensor::Shape{gate_up.shape[0], gate_up.shape[1] / 2}, gate_up.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId dx =
      backward.graph.append(kGatedBackward, {node.inputs[0], backward.gradient(node.outputs[0])}, node.attributes)[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_cpu(const KernelArguments& a) {
  const Value& y = a.out_value(0);
  kernels::gated_forward(a.node.attributes.as<kernels::Activation>(), a.in<void>(0), a.out<void>(0), y.dtype,
                         y.shape[0], y.shape[1]);
}

// Inputs: gate_up, dy. Output: dgate_up.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& gate_up = graph.value(node.inputs[0]);
  CHECK(graph.value(node.inputs[1]).dtype == gate_up.dtype, "{}", graph.describe(node));
  return {{gate_up.shape, gate_up.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& dy = a.in_value(1);
  kernels::gated_backward(a.node.attributes.as<kernels::Activation>(), a.in<void>(0), a.in<void>(1), a.out<void>(0),
                          dy.dtype, dy.shape[0], dy.shape[1]);
}

}  // namespace

const Op kGated{.name = "gated", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kGatedBackward{
    .name = "gated_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId gated(Graph& graph, kernels::Activation gate, ValueId gate_up) {
  return graph.append(kGated, {gate_up}, Attributes::of(gate))[0];
}

}  // namespace flywheel::graph
