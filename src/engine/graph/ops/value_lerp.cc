#include "engine/graph/ops/value_lerp.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/value_lerp.h"

namespace flywheel::graph {
namespace {

kernels::ValueLerp inputs_of(const KernelArguments& a) {
  const tensor::Shape& shape = a.in_value(0).shape;
  return {.tokens = shape[0],
          .width = shape[1],
          .value = a.inputs[0],
          .first = a.inputs[1],
          .x = a.inputs[2],
          .bias = a.in<float>(3)};
}

// Inputs: value, first, x, bias. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& value = graph.value(node.inputs[0]);
  bool fits = graph.value(node.inputs[3]).shape == tensor::Shape{value.shape[1]};
  for (size_t i : {1, 2}) {
    const Value& other = graph.value(node.inputs[i]);
    fits = fits && other.shape == value.shape && other.dtype == value.dtype;
  }
  CHECK(fits, "{}", graph.describe(node));
  return {{value.shape, value.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  std::vector<ValueId> inputs = node.inputs;
  inputs.push_back(backward.gradient(node.outputs[0]));
  const std::vector<ValueId> gradients = backward.graph.append(kValueLerpBackward, std::move(inputs), node.attributes,
                                                               {backward.parameter_gradient(node.inputs[3])});
  for (size_t i = 0; i < 3; ++i) backward.add_gradient(node.inputs[i], gradients[i]);
}

void run_cpu(const KernelArguments& a) {
  kernels::value_lerp_forward(inputs_of(a), a.in_value(0).dtype, a.outputs[0]);
}

// Inputs: those of forward, dy. Outputs: gradients of them; that of bias is added to.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& value = graph.value(node.inputs[0]);
  CHECK(graph.value(node.inputs[4]).dtype == value.dtype, "{}", graph.describe(node));
  return std::vector<TensorType>(3, {value.shape, value.dtype});
}

void run_backward_cpu(const KernelArguments& a) {
  kernels::value_lerp_backward(
      inputs_of(a), a.in_value(0).dtype, a.inputs[4],
      {.value = a.outputs[0], .first = a.outputs[1], .x = a.outputs[2], .bias = a.out<float>(3)});
}

}  // namespace

const Op kValueLerp{.name = "value_lerp", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kValueLerpBackward{
    .name = "value_lerp_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId value_lerp(Graph& graph, ValueId value, ValueId first, ValueId x, ValueId bias) {
  return graph.append(kValueLerp, {value, first, x, bias})[0];
}

}  // namespace flywheel::graph
