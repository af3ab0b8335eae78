#include "engine/graph/ops/grouped_linear.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/convert.h"
#include "engine/kernels/element.h"
#include "engine/kernels/matmul.h"
#include "engine/tensor/arena.h"

namespace flywheel::graph {
namespace {

// (K, N) of each packed right-hand side.
int64_t inner(const Value& weights) {
  return weights.shape[weights.transposed ? 1 : 2];
}
int64_t outer(const Value& weights) {
  return weights.shape[weights.transposed ? 2 : 1];
}

// Inputs: x, packed weights, first. Output: y.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &weights = graph.value(node.inputs[1]);
  CHECK(weights.storage == Storage::kPacked && weights.shape.rank == 3 && x.dtype == weights.dtype &&
            x.shape[1] == inner(weights) && graph.value(node.inputs[2]).shape == tensor::Shape{weights.shape[0] + 1},
        "{}", graph.describe(node));
  return {{tensor::Shape{x.shape[0], outer(weights)}, node.attributes.as<tensor::Dtype>()}};
}

void vjp(Backward& backward, const Node& node) {
  Graph& graph = backward.graph;
  const ValueId x = node.inputs[0], weights = node.inputs[1], first = node.inputs[2];
  const tensor::Dtype dtype = graph.value(x).dtype;
  const ValueId dy = convert(graph, backward.gradient(node.outputs[0]), dtype);
  if (backward.wanted(x)) {
    const ValueId transposed = graph.packed(graph.value(weights).parameter, true, dtype);
    backward.add_gradient(x, graph.append(kGroupedLinear, {dy, transposed, first}, Attributes::of(dtype))[0]);
  }
  graph.append(kGroupedLinearWeightGradient, {dy, x, first}, {}, {backward.parameter_gradient(weights)});
}

double flops(const Graph& graph, const Node& node) {
  const tensor::Shape& y = graph.value(node.outputs[0]).shape;
  return 2.0 * static_cast<double>(y.elements()) * static_cast<double>(inner(graph.value(node.inputs[1])));
}

void run_cpu(const KernelArguments& a) {
  const Value &x = a.in_value(0), &weights = a.in_value(1), &y = a.out_value(0);
  const int64_t k = inner(weights), n = outer(weights), experts = weights.shape[0];
  const int64_t stride = tensor::align_up(kernels::packed_bytes(k, n, x.dtype));
  const int32_t* first = a.in<int32_t>(2);
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t row = first[e], rows = first[e + 1] - row;
    if (rows == 0) continue;
    kernels::matmul(kernels::element_address(a.in<void>(0), x.dtype, row * k), x.dtype, k, rows, k,
                    a.in<std::byte>(1) + e * stride, n, kernels::element_address(a.out<void>(0), y.dtype, row * n),
                    y.dtype, n);
  }
}

// Inputs: dy (R, out), x (R, in), first. Output: gradient of the weights (E, out, in), added to.
std::vector<TensorType> infer_weight_gradient(const Graph& graph, const Node& node) {
  const Value &dy = graph.value(node.inputs[0]), &x = graph.value(node.inputs[1]);
  CHECK(dy.dtype == x.dtype && dy.shape[0] == x.shape[0], "{}", graph.describe(node));
  return {};
}

double weight_gradient_flops(const Graph& graph, const Node& node) {
  const tensor::Shape &dy = graph.value(node.inputs[0]).shape, &x = graph.value(node.inputs[1]).shape;
  return 2.0 * static_cast<double>(dy.elements()) * static_cast<double>(x[1]);
}

// Enough for all rows at one expert.
int64_t weight_gradient_workspace(const Graph& graph, const Node& node) {
  const tensor::Shape &dy = graph.value(node.inputs[0]).shape, &x = graph.value(node.inputs[1]).shape;
  return kernels::outer_workspace_bytes(dy[0], dy[1], x[1], graph.value(node.inputs[0]).dtype);
}

void run_weight_gradient_cpu(const KernelArguments& a) {
  const Value &dy = a.in_value(0), &x = a.in_value(1);
  const int64_t n = dy.shape[1], k = x.shape[1], experts = a.in_value(2).shape[0] - 1;
  const int32_t* first = a.in<int32_t>(2);
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t row = first[e], rows = first[e + 1] - row;
    if (rows == 0) continue;
    kernels::matmul_outer_accumulate(kernels::element_address(a.in<void>(0), dy.dtype, row * n), n,
                                     kernels::element_address(a.in<void>(1), x.dtype, row * k), k, dy.dtype, rows, n, k,
                                     a.out<float>(0) + e * n * k, k, a.workspace);
  }
}

}  // namespace

const Op kGroupedLinear{.name = "grouped_linear", .infer = infer, .vjp = vjp, .flops = flops, .kernels = {run_cpu}};
const Op kGroupedLinearWeightGradient{.name = "grouped_linear_weight_gradient",
                                      .infer = infer_weight_gradient,
                                      .vjp = nullptr,
                                      .flops = weight_gradient_flops,
                                      .workspace_bytes = weight_gradient_workspace,
                                      .kernels = {run_weight_gradient_cpu}};

ValueId grouped_linear(Graph& graph, ValueId x, ValueId weights, ValueId first, tensor::Dtype out_dtype) {
  const ValueId packed = graph.packed(weights, false, graph.value(x).dtype);
  return graph.append(kGroupedLinear, {x, packed, first}, Attributes::of(out_dtype))[0];
}

}  // namespace flywheel::graph
