#include "engine/graph/ops/norm.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/norm.h"

namespace flywheel::graph {
namespace {

struct NormAttributes {
  bool subtract_mean;
  tensor::Dtype dtype;
};

// Inputs: x, gain?, bias?. Outputs: y, statistics (T, 2).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  CHECK(x.shape.rank == 2 && x.dtype == tensor::Dtype::kFloat32, "{}", graph.describe(node));
  for (size_t i : {1, 2}) {
    CHECK(node.inputs[i] == kNoValue || graph.value(node.inputs[i]).shape == tensor::Shape{x.shape[1]}, "{}",
          graph.describe(node));
  }
  return {{x.shape, node.attributes.as<NormAttributes>().dtype},
          {tensor::Shape{x.shape[0], 2}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const auto gradient_of = [&](ValueId parameter) {
    return parameter == kNoValue ? kNoValue : backward.parameter_gradient(parameter);
  };
  const ValueId dx = backward.graph.append(
      kNormBackward, {node.inputs[0], node.inputs[1], node.outputs[1], backward.gradient(node.outputs[0]), kNoValue},
      node.attributes, {gradient_of(node.inputs[1]), gradient_of(node.inputs[2])})[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(0).shape;
  const auto attributes = a.node.attributes.as<NormAttributes>();
  kernels::norm_forward(attributes.subtract_mean, a.in<float>(0), a.in<float>(1), a.in<float>(2), x[0], x[1],
                        a.out<void>(0), attributes.dtype, a.out<float>(1));
}

// Inputs: x, gain?, statistics, dy, accumulate?. Outputs: dx (+ accumulate), gradients of gain? and bias?.
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
  kernels::norm_backward(a.node.attributes.as<NormAttributes>().subtract_mean, a.in<float>(0), a.in<float>(1),
                         a.in<float>(2), a.in<void>(3), a.in_value(3).dtype, x[0], x[1], dx, a.out<float>(1),
                         a.out<float>(2));
}

}  // namespace

const Op kNorm{.name = "norm", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kNormBackward{.name = "norm_backward",
                       .infer = infer_backward,
                       .vjp = nullptr,
                       .in_place = {4},
                       .accumulate_input = 4,
                       .kernels = {run_backward_cpu}};

ValueId norm(Graph& graph, bool subtract_mean, ValueId x, ValueId gain, ValueId bias, tensor::Dtype dtype) {
  return graph.append(kNorm, {x, gain, bias}, Attributes::of(NormAttributes{subtract_mean, dtype}))[0];
}

}  // namespace flywheel::graph
