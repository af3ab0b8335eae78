#include "engine/graph/ops/activation.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Input: x. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  return {{x.shape, x.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId dx = backward.graph.append(kActivationBackward, {node.inputs[0], backward.gradient(node.outputs[0])},
                                           node.attributes)[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::activation_forward(a.node.attributes.as<kernels::Activation>(), a.in<void>(0), a.out<void>(0), x.dtype,
                              x.shape.elements());
}

// Inputs: x (before the activation), dy. Output: dx.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &dy = graph.value(node.inputs[1]);
  CHECK(x.shape == dy.shape && x.dtype == dy.dtype, "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::activation_backward(a.node.attributes.as<kernels::Activation>(), a.in<void>(0), a.in<void>(1),
                               a.out<void>(0), x.dtype, x.shape.elements());
}

}  // namespace

const Op kActivation{.name = "activation", .infer = infer, .vjp = vjp, .in_place = {0}, .kernels = {run_cpu}};
const Op kActivationBackward{.name = "activation_backward",
                             .infer = infer_backward,
                             .vjp = nullptr,
                             .in_place = {1, 0},
                             .kernels = {run_backward_cpu}};

ValueId activation(Graph& graph, kernels::Activation kind, ValueId x) {
  return graph.append(kActivation, {x}, Attributes::of(kind))[0];
}

}  // namespace flywheel::graph
