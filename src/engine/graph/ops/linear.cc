#include "engine/graph/ops/linear.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/convert.h"
#include "engine/kernels/slower.h"

namespace flywheel::graph {
namespace {

// (K, N) of the packed right-hand side: parameters are (out, in).
int64_t inner(const Value& weight) {
  return weight.transposed ? weight.shape[0] : weight.shape[1];
}
int64_t outer(const Value& weight) {
  return weight.transposed ? weight.shape[1] : weight.shape[0];
}

// Inputs: x, packed weight, accumulate?, factor?. Outputs: y, slope of the activation? (the last two added by fusion).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[kLinearX]), &weight = graph.value(node.inputs[kLinearWeight]);
  CHECK(weight.storage == Storage::kPacked && x.dtype == weight.dtype && x.shape[1] == inner(weight), "{}",
        graph.describe(node));
  return {{tensor::Shape{x.shape[0], outer(weight)}, node.attributes.as<LinearAttributes>().out_dtype}};
}

void vjp(Backward& backward, const Node& node) {
  Graph& graph = backward.graph;
  const ValueId x = node.inputs[kLinearX], weight = node.inputs[kLinearWeight];
  const tensor::Dtype dtype = graph.value(x).dtype;
  const ValueId dy = convert(graph, backward.gradient(node.outputs[0]), dtype);
  if (backward.wanted(x)) {
    const Value& w = graph.value(weight);
    const ValueId other_form = graph.packed(w.parameter, !w.transposed, dtype);
    const Attributes attributes = Attributes::of(LinearAttributes{.out_dtype = dtype});
    backward.add_gradient(x, graph.append(kLinear, {dy, other_form, kNoValue, kNoValue}, attributes)[0]);
  }
  CHECK(!graph.value(weight).transposed, "only forward linears are differentiated");
  graph.append(kLinearWeightGradient, {dy, x}, {}, {backward.parameter_gradient(weight)});
}

double flops(const Graph& graph, const Node& node) {
  const tensor::Shape& y = graph.value(node.outputs[0]).shape;
  return 2.0 * static_cast<double>(y.elements()) * static_cast<double>(inner(graph.value(node.inputs[kLinearWeight])));
}

const char* slower(const Graph& graph, const Node& node) {
  const Value& weight = graph.value(node.inputs[kLinearWeight]);
  return kernels::slower_product(inner(weight), outer(weight), weight.dtype);
}

void run_cpu(const KernelArguments& a) {
  const Value &x = a.in_value(kLinearX), &y = a.out_value(0);
  const int64_t m = a.sequences * y.shape[0], n = y.shape[1], k = x.shape[1];
  const kernels::Epilogue epilogue{.activation = a.node.attributes.as<LinearAttributes>().activation,
                                   .slope = a.node.outputs.size() > 1 ? a.outputs[1] : nullptr,
                                   .factor = a.inputs[kLinearFactor],
                                   .residual = a.in<float>(kLinearAccumulate)};
  kernels::matmul(a.in<void>(kLinearX), x.dtype, k, m, k, a.in<void>(kLinearWeight), n, a.out<void>(0), y.dtype, n,
                  epilogue);
}

// Inputs: dy (T, out), x (T, in). Output: gradient of the weight (out, in), added to.
std::vector<TensorType> infer_weight_gradient(const Graph& graph, const Node& node) {
  const Value &dy = graph.value(node.inputs[0]), &x = graph.value(node.inputs[1]);
  CHECK(dy.dtype == x.dtype && dy.shape[0] == x.shape[0], "{}", graph.describe(node));
  return {};
}

double weight_gradient_flops(const Graph& graph, const Node& node) {
  const tensor::Shape &dy = graph.value(node.inputs[0]).shape, &x = graph.value(node.inputs[1]).shape;
  return 2.0 * static_cast<double>(dy.elements()) * static_cast<double>(x[1]);
}

int64_t weight_gradient_workspace(const Graph& graph, const Node& node) {
  const tensor::Shape &dy = graph.value(node.inputs[0]).shape, &x = graph.value(node.inputs[1]).shape;
  return kernels::outer_workspace_bytes(dy[0], dy[1], x[1], graph.value(node.inputs[0]).dtype);
}

void run_weight_gradient_cpu(const KernelArguments& a) {
  const Value &dy = a.in_value(0), &x = a.in_value(1);
  const int64_t m = a.sequences * dy.shape[0], n = dy.shape[1], k = x.shape[1];
  kernels::matmul_outer_accumulate(a.in<void>(0), n, a.in<void>(1), k, dy.dtype, m, n, k, a.out<float>(0), k,
                                   a.workspace);
}

}  // namespace

const Op kLinear{.name = "linear",
                 .infer = infer,
                 .vjp = vjp,
                 .flops = flops,
                 .slower = slower,
                 .in_place = {static_cast<int8_t>(kLinearAccumulate), static_cast<int8_t>(kLinearFactor)},
                 .accumulate_input = static_cast<int>(kLinearAccumulate),
                 .joins_sequences = true,
                 .kernels = {run_cpu}};
const Op kLinearWeightGradient{.name = "linear_weight_gradient",
                               .infer = infer_weight_gradient,
                               .vjp = nullptr,
                               .flops = weight_gradient_flops,
                               .workspace_bytes = weight_gradient_workspace,
                               .joins_sequences = true,
                               .kernels = {run_weight_gradient_cpu}};

ValueId linear(Graph& graph, ValueId x, ValueId weight, tensor::Dtype out_dtype) {
  const ValueId packed = graph.packed(weight, false, graph.value(x).dtype);
  return graph.append(kLinear, {x, packed, kNoValue, kNoValue},
                      Attributes::of(LinearAttributes{.out_dtype = out_dtype}))[0];
}

}  // namespace flywheel::graph
