#include "engine/graph/ops/forget.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"

namespace flywheel::graph {
namespace {

using kernels::Forget;

kernels::ForgetShape shape_of(const Graph& graph, const Node& node) {
  return {.kind = node.attributes.as<Forget>(),
          .tokens = graph.value(node.inputs[0]).shape[0],
          .width = graph.value(node.inputs[1]).shape[0]};
}

// Inputs: x, bias, rate?. Outputs: log_decay, beta (one element when there is none).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const kernels::ForgetShape s = shape_of(graph, node);
  CHECK(graph.value(node.inputs[0]).shape[1] == s.input_width() &&
            (node.inputs[2] != kNoValue) == kernels::has_rate(s.kind),
        "{}", graph.describe(node));
  const tensor::Shape shape{s.tokens, s.width};
  return {{shape, tensor::Dtype::kFloat32},
          {kernels::has_rate(s.kind) ? shape : tensor::Shape{1}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId rate = node.inputs[2];
  const ValueId dx = backward.graph.append(
      kForgetBackward,
      {node.inputs[0], node.inputs[1], rate, backward.gradient(node.outputs[0]), backward.gradient(node.outputs[1])},
      node.attributes,
      {backward.parameter_gradient(node.inputs[1]),
       rate == kNoValue ? kNoValue : backward.parameter_gradient(rate)})[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_cpu(const KernelArguments& a) {
  kernels::forget_forward(shape_of(a.graph, a.node), a.in_value(0).dtype, a.inputs[0], a.in<float>(1), a.in<float>(2),
                          a.out<float>(0), a.out<float>(1));
}

// Inputs: x, bias, rate?, dlog_decay, dbeta?. Outputs: dx, gradients of bias and rate?.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  CHECK(node.inputs[3] != kNoValue, "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  kernels::forget_backward(shape_of(a.graph, a.node), a.in_value(0).dtype, a.inputs[0], a.in<float>(1), a.in<float>(2),
                           a.in<float>(3), a.in<float>(4), a.outputs[0], a.out<float>(1), a.out<float>(2));
}

}  // namespace

const Op kForget{.name = "forget", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kForgetBackward{
    .name = "forget_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

Forgotten forget(Graph& graph, Forget kind, ValueId x, ValueId bias, ValueId rate) {
  const auto outputs = graph.append(kForget, {x, bias, rate}, Attributes::of(kind));
  return {outputs[0], rate == kNoValue ? kNoValue : outputs[1]};
}

}  // namespace flywheel::graph
