#include "engine/graph/ops/dynamic_tanh.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/norm.h"

namespace flywheel::graph {
namespace {

// Inputs: x, alpha, gain, bias. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const tensor::Shape row{x.shape[1]};
  CHECK(x.shape.rank == 2 && x.dtype == tensor::Dtype::kFloat32 &&
            graph.value(node.inputs[1]).shape == tensor::Shape{1} && graph.value(node.inputs[2]).shape == row &&
            graph.value(node.inputs[3]).shape == row,
        "{}", graph.describe(node));
  return {{x.shape, node.attributes.as<tensor::Dtype>()}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId dy = backward.gradient(node.outputs[0]);
  const ValueId dx =
      backward.graph.append(kDynamicTanhBackward, {node.inputs[0], node.inputs[1], node.inputs[2], dy, kNoValue}, {},
                            {backward.parameter_gradient(node.inputs[1]), backward.parameter_gradient(node.inputs[2]),
                             backward.parameter_gradient(node.inputs[3])})[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(0).shape;
  kernels::dynamic_tanh_forward(a.in<float>(0), *a.in<float>(1), a.in<float>(2), a.in<float>(3), x[0], x[1],
                                a.out<void>(0), a.out_value(0).dtype);
}

// Inputs: x, alpha, gain, dy, accumulate?. Outputs: dx (+ accumulate), gradients of alpha, gain and bias.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  return {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32}};
}

void run_backward_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(0).shape;
  float* dx = a.out<float>(0);
  if (a.inputs[4] == nullptr) {
    kernels::fill(dx, 0, x.elements());
  } else if (a.inputs[4] != dx) {
    std::memcpy(dx, a.inputs[4], static_cast<size_t>(x.elements()) * sizeof(float));
  }
  kernels::dynamic_tanh_backward(a.in<float>(0), *a.in<float>(1), a.in<float>(2), a.in<void>(3), a.in_value(3).dtype,
                                 x[0], x[1], dx, a.out<float>(1), a.out<float>(2), a.out<float>(3));
}

}  // namespace

const Op kDynamicTanh{.name = "dynamic_tanh", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kDynamicTanhBackward{.name = "dynamic_tanh_backward",
                              .infer = infer_backward,
                              .vjp = nullptr,
                              .in_place = {4},
                              .accumulate_input = 4,
                              .kernels = {run_backward_cpu}};

ValueId dynamic_tanh(Graph& graph, ValueId x, ValueId alpha, ValueId gain, ValueId bias, tensor::Dtype dtype) {
  return graph.append(kDynamicTanh, {x, alpha, gain, bias}, Attributes::of(dtype))[0];
}

}  // namespace flywheel::graph
