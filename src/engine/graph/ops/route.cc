#include "engine/graph/ops/route.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/experts.h"

namespace flywheel::graph {
namespace {

// Its square is zero in float32: the bias's gradient is no part of a gradient norm.
constexpr float kUnitOfLoad = 1e-30f;

kernels::RouteShape shape_of(const tensor::Shape& scores, int64_t active) {
  return {.tokens = scores[0], .experts = scores[1], .active = active};
}

// Inputs: logits, bias?, loss_scale?. Outputs: weights, scores (T, E), choice (T, K), places, first.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& logits = graph.value(node.inputs[0]);
  const int64_t active = node.attributes.as<RouteAttributes>().active;
  CHECK(logits.dtype == tensor::Dtype::kFloat32 && active >= 1 && active <= logits.shape[1], "{}",
        graph.describe(node));
  CHECK(node.inputs[1] == kNoValue || graph.value(node.inputs[1]).shape == tensor::Shape{logits.shape[1]}, "{}",
        graph.describe(node));
  const tensor::Shape copies{logits.shape[0], active};
  return {{copies, tensor::Dtype::kFloat32},
          {logits.shape, tensor::Dtype::kFloat32},
          {copies, tensor::Dtype::kInt32},
          {copies, tensor::Dtype::kInt32},
          {tensor::Shape{logits.shape[1] + 1}, tensor::Dtype::kInt32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId bias = node.inputs[1] == kNoValue ? kNoValue : backward.parameter_gradient(node.inputs[1]);
  const ValueId dlogits = backward.graph.append(kRouteBackward,
                                                {node.outputs[1], node.outputs[0], node.outputs[2], node.outputs[4],
                                                 backward.gradient(node.outputs[0]), node.inputs[2]},
                                                node.attributes, {bias})[0];
  backward.add_gradient(node.inputs[0], dlogits);
}

void run_cpu(const KernelArguments& a) {
  kernels::route_forward(shape_of(a.in_value(0).shape, a.out_value(0).shape[1]), a.in<float>(0), a.in<float>(1),
                         a.out<float>(1), a.out<float>(0), a.out<int32_t>(2), a.out<int32_t>(3), a.out<int32_t>(4));
}

// Inputs: scores, weights, choice, first, dweights, loss_scale?. Outputs: dlogits, gradient of bias?.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  return {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32}};
}

void run_backward_cpu(const KernelArguments& a) {
  const kernels::RouteShape shape = shape_of(a.in_value(0).shape, a.in_value(1).shape[1]);
  const float loss_scale = a.inputs[5] == nullptr ? 1 : *a.in<float>(5);
  const int32_t* first = a.in<int32_t>(3);
  kernels::route_backward(shape, a.in<float>(0), a.in<float>(1), a.in<int32_t>(2), first, a.in<float>(4),
                          loss_scale * a.node.attributes.as<RouteAttributes>().balance_loss, a.out<float>(0));
  float* dbias = a.out<float>(1);
  const float mean = static_cast<float>(shape.tokens * shape.active) / static_cast<float>(shape.experts);
  for (int64_t e = 0; dbias != nullptr && e < shape.experts; ++e)
    dbias[e] += (static_cast<float>(first[e + 1] - first[e]) - mean) * kUnitOfLoad;
}

// Inputs: x, places. Output: rows.
std::vector<TensorType> infer_spread(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &places = graph.value(node.inputs[1]);
  CHECK(x.shape[0] == places.shape[0] && places.dtype == tensor::Dtype::kInt32, "{}", graph.describe(node));
  return {{tensor::Shape{places.shape.elements(), x.shape[1]}, x.dtype}};
}

void vjp_spread(Backward& backward, const Node& node) {
  const ValueId dx = backward.graph.append(kGather, {backward.gradient(node.outputs[0]), node.inputs[1]})[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_spread_cpu(const KernelArguments& a) {
  const tensor::Shape& places = a.in_value(1).shape;
  const Value& x = a.in_value(0);
  kernels::spread_rows(a.in<void>(0), a.in<int32_t>(1), places[0], places[1], x.shape[1], x.dtype, a.out<void>(0));
}

// Inputs: rows, places. Output: their sums by token.
std::vector<TensorType> infer_gather(const Graph& graph, const Node& node) {
  const Value &rows = graph.value(node.inputs[0]), &places = graph.value(node.inputs[1]);
  CHECK(rows.shape[0] == places.shape.elements(), "{}", graph.describe(node));
  return {{tensor::Shape{places.shape[0], rows.shape[1]}, rows.dtype}};
}

void run_gather_cpu(const KernelArguments& a) {
  const tensor::Shape& places = a.in_value(1).shape;
  const Value& rows = a.in_value(0);
  kernels::gather_rows(a.in<void>(0), a.in<int32_t>(1), places[0], places[1], rows.shape[1], rows.dtype,
                       a.out<void>(0));
}

// Inputs: rows, weights, places, accumulate?. Output: y (+ accumulate).
std::vector<TensorType> infer_combine(const Graph& graph, const Node& node) {
  const Value &rows = graph.value(node.inputs[0]), &weights = graph.value(node.inputs[1]);
  CHECK(rows.dtype == tensor::Dtype::kFloat32 && rows.shape[0] == weights.shape.elements() &&
            weights.shape == graph.value(node.inputs[2]).shape,
        "{}", graph.describe(node));
  return {{tensor::Shape{weights.shape[0], rows.shape[1]}, tensor::Dtype::kFloat32}};
}

void vjp_combine(Backward& backward, const Node& node) {
  const std::vector<ValueId> gradients = backward.graph.append(
      kCombineBackward, {node.inputs[0], node.inputs[1], node.inputs[2], backward.gradient(node.outputs[0])});
  backward.add_gradient(node.inputs[0], gradients[0]);
  backward.add_gradient(node.inputs[1], gradients[1]);
}

void run_combine_cpu(const KernelArguments& a) {
  const tensor::Shape &y = a.out_value(0).shape, &places = a.in_value(2).shape;
  float* to = a.out<float>(0);
  if (a.inputs[3] == nullptr) {
    kernels::fill(to, 0, y.elements());
  } else if (a.inputs[3] != to) {
    std::memcpy(to, a.inputs[3], static_cast<size_t>(y.elements()) * sizeof(float));
  }
  kernels::combine_forward(a.in<float>(0), a.in<float>(1), a.in<int32_t>(2), places[0], places[1], y[1], to);
}

// Inputs: rows, weights, places, dy. Outputs: drows, dweights.
std::vector<TensorType> infer_combine_backward(const Graph& graph, const Node& node) {
  return {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32},
          {graph.value(node.inputs[1]).shape, tensor::Dtype::kFloat32}};
}

void run_combine_backward_cpu(const KernelArguments& a) {
  const tensor::Shape &rows = a.in_value(0).shape, &places = a.in_value(2).shape;
  kernels::combine_backward(a.in<float>(0), a.in<float>(1), a.in<int32_t>(2), a.in<float>(3), places[0], places[1],
                            rows[1], a.out<float>(0), a.out<float>(1));
}

}  // namespace

const Op kRoute{.name = "route", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kRouteBackward{
    .name = "route_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};
const Op kSpread{.name = "spread", .infer = infer_spread, .vjp = vjp_spread, .kernels = {run_spread_cpu}};
const Op kGather{.name = "gather", .infer = infer_gather, .vjp = nullptr, .kernels = {run_gather_cpu}};
const Op kCombine{.name = "combine",
                  .infer = infer_combine,
                  .vjp = vjp_combine,
                  .in_place = {3},
                  .accumulate_input = 3,
                  .kernels = {run_combine_cpu}};
const Op kCombineBackward{
    .name = "combine_backward", .infer = infer_combine_backward, .vjp = nullptr, .kernels = {run_combine_backward_cpu}};

Routing route(Graph& graph, ValueId logits, ValueId bias, ValueId loss_scale, const RouteAttributes& attributes) {
  const std::vector<ValueId> outputs = graph.append(kRoute, {logits, bias, loss_scale}, Attributes::of(attributes));
  return {.weights = outputs[0], .places = outputs[3], .first = outputs[4]};
}

ValueId spread(Graph& graph, ValueId x, ValueId places) {
  return graph.append(kSpread, {x, places})[0];
}

ValueId combine(Graph& graph, ValueId rows, ValueId weights, ValueId places) {
  return graph.append(kCombine, {rows, weights, places, kNoValue})[0];
}

}  // namespace flywheel::graph
