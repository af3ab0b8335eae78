#include "engine/graph/ops/mix_streams.h"

#include <array>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/streams.h"

namespace flywheel::graph {
namespace {

constexpr int64_t kMaxWeights = 17 * 17;

// T, C, outputs, and inputs (the extra one included) of a node whose inputs start with x, extra?, base?, learned?.
kernels::StreamShape shape_of(const Graph& graph, const Node& node) {
  const int64_t outputs = node.attributes.as<int>();
  const ValueId weights = node.inputs[2] == kNoValue ? node.inputs[3] : node.inputs[2];
  const int64_t inputs = graph.value(weights).shape.elements() / outputs;
  const tensor::Shape& x = graph.value(node.inputs[0]).shape;
  const int64_t streams = inputs - (node.inputs[1] == kNoValue ? 0 : 1);
  return {.tokens = x[0], .width = x[1] / streams, .streams = streams, .inputs = inputs, .outputs = outputs};
}

using Weights = std::array<float, kMaxWeights>;
void add_up(const KernelArguments& a, const kernels::StreamShape& shape, Weights& weights) {
  const int64_t count = shape.outputs * shape.inputs;
  kernels::fill(weights.data(), 0, count);
  for (size_t i : {2, 3}) {
    if (a.inputs[i] != nullptr) kernels::add(a.in<float>(i), weights.data(), count);
  }
}

// Inputs: x, extra?, base?, learned?. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const kernels::StreamShape s = shape_of(graph, node);
  const Value& x = graph.value(node.inputs[0]);
  CHECK(x.dtype == tensor::Dtype::kFloat32 && x.shape[1] == s.streams * s.width && s.outputs * s.inputs <= kMaxWeights,
        "{}", graph.describe(node));
  for (size_t i : {2, 3}) {
    CHECK(node.inputs[i] == kNoValue || graph.value(node.inputs[i]).shape.elements() == s.outputs * s.inputs, "{}",
          graph.describe(node));
  }
  if (node.inputs[1] != kNoValue) {
    const Value& extra = graph.value(node.inputs[1]);
    CHECK(extra.dtype == tensor::Dtype::kFloat32 && extra.shape == (tensor::Shape{s.tokens, s.width}), "{}",
          graph.describe(node));
  }
  return {{tensor::Shape{s.tokens, s.outputs * s.width}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId learned = node.inputs[3] == kNoValue ? kNoValue : backward.parameter_gradient(node.inputs[3]);
  std::vector<ValueId> inputs = node.inputs;
  inputs.push_back(backward.gradient(node.outputs[0]));
  const std::vector<ValueId> gradients =
      backward.graph.append(kMixStreamsBackward, std::move(inputs), node.attributes, {learned});
  backward.add_gradient(node.inputs[0], gradients[0]);
  if (node.inputs[1] != kNoValue) backward.add_gradient(node.inputs[1], gradients[1]);
}

void run_cpu(const KernelArguments& a) {
  const kernels::StreamShape shape = shape_of(a.graph, a.node);
  Weights weights;
  add_up(a, shape, weights);
  kernels::mix_streams_forward(shape, weights.data(), a.in<float>(0), a.in<float>(1), a.out<float>(0));
}

// Inputs: x, extra?, base?, learned?, dy. Outputs: dx, dextra (only with an extra), gradient of learned?.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  std::vector<TensorType> types = {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32}};
  if (node.inputs[1] != kNoValue) types.push_back({graph.value(node.inputs[1]).shape, tensor::Dtype::kFloat32});
  return types;
}

void run_backward_cpu(const KernelArguments& a) {
  const kernels::StreamShape shape = shape_of(a.graph, a.node);
  Weights weights;
  add_up(a, shape, weights);
  const bool has_extra = a.inputs[1] != nullptr;
  kernels::mix_streams_backward(shape, weights.data(), a.in<float>(0), a.in<float>(1), a.in<float>(4), a.out<float>(0),
                                has_extra ? a.out<float>(1) : nullptr, a.out<float>(has_extra ? 2 : 1));
}

// Inputs: x, gain. Output: y.
std::vector<TensorType> infer_scale(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  CHECK(x.dtype == tensor::Dtype::kFloat32 && graph.value(node.inputs[1]).shape == tensor::Shape{x.shape[1]}, "{}",
        graph.describe(node));
  return {{x.shape, x.dtype}};
}

void vjp_scale(Backward& backward, const Node& node) {
  const ValueId dx = backward.graph.append(kScaleChannelsBackward,
                                           {node.inputs[0], node.inputs[1], backward.gradient(node.outputs[0])}, {},
                                           {backward.parameter_gradient(node.inputs[1])})[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_scale_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(0).shape;
  kernels::scale_channels_forward(a.in<float>(0), a.in<float>(1), x[0], x[1], a.out<float>(0));
}

// Inputs: x, gain, dy. Outputs: dx, gradient of gain.
std::vector<TensorType> infer_scale_backward(const Graph& graph, const Node& node) {
  return {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32}};
}

void run_scale_backward_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(0).shape;
  kernels::scale_channels_backward(a.in<float>(0), a.in<float>(1), a.in<float>(2), x[0], x[1], a.out<float>(0),
                                   a.out<float>(1));
}

}  // namespace

const Op kMixStreams{.name = "mix_streams", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kMixStreamsBackward{
    .name = "mix_streams_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};
const Op kScaleChannels{
    .name = "scale_channels", .infer = infer_scale, .vjp = vjp_scale, .in_place = {0}, .kernels = {run_scale_cpu}};
const Op kScaleChannelsBackward{.name = "scale_channels_backward",
                                .infer = infer_scale_backward,
                                .vjp = nullptr,
                                .in_place = {2},
                                .kernels = {run_scale_backward_cpu}};

ValueId mix_streams(Graph& graph, ValueId x, ValueId extra, ValueId base, ValueId learned, int outputs) {
  return graph.append(kMixStreams, {x, extra, base, learned}, Attributes::of(outputs))[0];
}

ValueId scale_channels(Graph& graph, ValueId x, ValueId gain) {
  return graph.append(kScaleChannels, {x, gain})[0];
}

}  // namespace flywheel::graph
