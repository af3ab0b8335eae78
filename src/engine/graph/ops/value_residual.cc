#include "engine/graph/ops/value_residual.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/heads.h"

namespace flywheel::graph {
namespace {

kernels::ValueShape shape_of(const Value& qkv, const Value& values) {
  return {.tokens = qkv.shape[0], .width = qkv.shape[1], .values = values.shape[1]};
}

// Input: qkv. Output: values.
std::vector<TensorType> infer_values(const Graph& graph, const Node& node) {
  const Value& qkv = graph.value(node.inputs[0]);
  const auto width = node.attributes.as<int64_t>();
  CHECK(width > 0 && width <= qkv.shape[1], "{}", graph.describe(node));
  return {{tensor::Shape{qkv.shape[0], width}, qkv.dtype}};
}

void values_vjp(Backward& backward, const Node& node) {
  const Value& qkv = backward.graph.value(node.inputs[0]);
  const ValueId dqkv =
      backward.graph.append(kValuesBackward, {backward.gradient(node.outputs[0])}, Attributes::of(qkv.shape[1]))[0];
  backward.add_gradient(node.inputs[0], dqkv);
}

void run_values_cpu(const KernelArguments& a) {
  const Value& qkv = a.in_value(0);
  kernels::values_forward(shape_of(qkv, a.out_value(0)), qkv.dtype, a.inputs[0], a.outputs[0]);
}

// Input: dvalues. Output: dqkv, zero before the values.
std::vector<TensorType> infer_values_backward(const Graph& graph, const Node& node) {
  const Value& dvalues = graph.value(node.inputs[0]);
  return {{tensor::Shape{dvalues.shape[0], node.attributes.as<int64_t>()}, dvalues.dtype}};
}

void run_values_backward_cpu(const KernelArguments& a) {
  const Value& dqkv = a.out_value(0);
  kernels::values_backward(shape_of(dqkv, a.in_value(0)), dqkv.dtype, a.inputs[0], a.outputs[0]);
}

// Inputs: qkv, first, share. Output: mixed qkv.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &qkv = graph.value(node.inputs[0]), &first = graph.value(node.inputs[1]);
  CHECK(first.dtype == qkv.dtype && first.shape[0] == qkv.shape[0] && first.shape[1] <= qkv.shape[1] &&
            graph.value(node.inputs[2]).shape == tensor::Shape{1},
        "{}", graph.describe(node));
  return {{qkv.shape, qkv.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const std::vector<ValueId> gradients = backward.graph.append(
      kValueResidualBackward, {node.inputs[0], node.inputs[1], node.inputs[2], backward.gradient(node.outputs[0])},
      node.attributes, {backward.parameter_gradient(node.inputs[2])});
  backward.add_gradient(node.inputs[0], gradients[0]);
  backward.add_gradient(node.inputs[1], gradients[1]);
}

void run_cpu(const KernelArguments& a) {
  const Value& qkv = a.in_value(0);
  kernels::value_residual_forward(shape_of(qkv, a.in_value(1)), qkv.dtype, a.inputs[0], a.inputs[1], *a.in<float>(2),
                                  a.outputs[0]);
}

// Inputs: qkv, first, share, dmixed. Outputs: dqkv, dfirst, gradient of share (added to).
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &qkv = graph.value(node.inputs[0]), &first = graph.value(node.inputs[1]);
  CHECK(graph.value(node.inputs[3]).dtype == qkv.dtype, "{}", graph.describe(node));
  return {{qkv.shape, qkv.dtype}, {first.shape, first.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& qkv = a.in_value(0);
  *a.out<float>(2) +=
      kernels::value_residual_backward(shape_of(qkv, a.in_value(1)), qkv.dtype, a.inputs[0], a.inputs[1],
                                       *a.in<float>(2), a.inputs[3], a.outputs[0], a.outputs[1]);
}

}  // namespace

const Op kValues{.name = "values", .infer = infer_values, .vjp = values_vjp, .kernels = {run_values_cpu}};
const Op kValuesBackward{
    .name = "values_backward", .infer = infer_values_backward, .vjp = nullptr, .kernels = {run_values_backward_cpu}};
const Op kValueResidual{.name = "value_residual", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kValueResidualBackward{.name = "value_residual_backward",
                                .infer = infer_backward,
                                .vjp = nullptr,
                                .in_place = {3},
                                .kernels = {run_backward_cpu}};

ValueId values(Graph& graph, ValueId qkv, int64_t width) {
  return graph.append(kValues, {qkv}, Attributes::of(width))[0];
}

ValueId value_residual(Graph& graph, ValueId qkv, ValueId first, ValueId share) {
  return graph.append(kValueResidual, {qkv, first, share})[0];
}

}  // namespace flywheel::graph
