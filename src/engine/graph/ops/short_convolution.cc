#include "engine/graph/ops/short_convolution.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/short_convolution.h"

namespace flywheel::graph {
namespace {

kernels::ConvolutionShape shape_of(const Graph& graph, const Node& node) {
  const tensor::Shape &x = graph.value(node.inputs[0]).shape, &weight = graph.value(node.inputs[1]).shape;
  return {.tokens = x[0], .width = x[1], .taps = weight[0]};
}

// Inputs: x, weight. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &weight = graph.value(node.inputs[1]);
  CHECK(weight.shape.rank == 2 && weight.shape[0] >= 2 && weight.shape[1] == x.shape[1], "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId dx = backward.graph.append(kShortConvolutionBackward,
                                           {node.inputs[0], node.inputs[1], backward.gradient(node.outputs[0])}, {},
                                           {backward.parameter_gradient(node.inputs[1])})[0];
  backward.add_gradient(node.inputs[0], dx);
}

double flops(const Graph& graph, const Node& node) {
  const kernels::ConvolutionShape s = shape_of(graph, node);
  return 2.0 * static_cast<double>(s.tokens * s.width * s.taps);
}
double backward_flops(const Graph& graph, const Node& node) {
  return 2.0 * flops(graph, node);
}

void run_cpu(const KernelArguments& a) {
  kernels::short_convolution_forward(shape_of(a.graph, a.node), a.in_value(0).dtype, a.inputs[0], a.in<float>(1),
                                     a.outputs[0]);
}

// Inputs: x, weight, dy. Outputs: dx, gradient of weight.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &dy = graph.value(node.inputs[2]);
  CHECK(dy.dtype == x.dtype, "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

int64_t workspace(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[0]).shape.elements() * int64_t{sizeof(float)};
}

void run_backward_cpu(const KernelArguments& a) {
  kernels::short_convolution_backward(shape_of(a.graph, a.node), a.in_value(0).dtype, a.inputs[0], a.in<float>(1),
                                      a.inputs[2], a.outputs[0], a.out<float>(1), static_cast<float*>(a.workspace));
}

// Inputs: x, weight, earlier (state). Output: y.
std::vector<TensorType> infer_step(const Graph& graph, const Node& node) {
  const kernels::ConvolutionShape s = shape_of(graph, node);
  const Value& earlier = graph.value(node.inputs[2]);
  CHECK(s.tokens == 1 && earlier.storage == Storage::kState && earlier.shape == tensor::Shape({s.taps - 1, s.width}) &&
            earlier.dtype == graph.value(node.inputs[0]).dtype,
        "{}", graph.describe(node));
  return infer(graph, node);
}

void run_step_cpu(const KernelArguments& a) {
  kernels::short_convolution_step(shape_of(a.graph, a.node), a.in_value(0).dtype, a.inputs[0], a.in<float>(1),
                                  a.inputs[2], a.outputs[0]);
}

}  // namespace

const Op kShortConvolution{
    .name = "short_convolution", .infer = infer, .vjp = vjp, .flops = flops, .kernels = {run_cpu}};
const Op kShortConvolutionBackward{.name = "short_convolution_backward",
                                   .infer = infer_backward,
                                   .vjp = nullptr,
                                   .flops = backward_flops,
                                   .workspace_bytes = workspace,
                                   .kernels = {run_backward_cpu}};
const Op kShortConvolutionStep{
    .name = "short_convolution_step", .infer = infer_step, .vjp = nullptr, .kernels = {run_step_cpu}};

ValueId short_convolution(Graph& graph, ValueId x, ValueId weight) {
  return graph.append(kShortConvolution, {x, weight})[0];
}
ValueId short_convolution_step(Graph& graph, ValueId x, ValueId weight, ValueId earlier) {
  return graph.append(kShortConvolutionStep, {x, weight, earlier})[0];
}

}  // namespace flywheel::graph
