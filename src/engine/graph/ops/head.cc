#include "engine/graph/ops/head.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/slower.h"

namespace flywheel::graph {
namespace {

kernels::HeadShape shape_of(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &weight = graph.value(node.inputs[1]);
  CHECK(x.shape[1] == weight.shape[1] && x.dtype == weight.dtype && !weight.transposed, "{}", graph.describe(node));
  return {.tokens = x.shape[0], .width = x.shape[1], .vocabulary = weight.shape[0], .dtype = x.dtype};
}

double forward_flops(const Graph& graph, const Node& node) {
  const kernels::HeadShape s = shape_of(graph, node);
  return 2.0 * static_cast<double>(s.tokens) * static_cast<double>(s.width) * static_cast<double>(s.vocabulary);
}
double train_flops(const Graph& graph, const Node& node) {
  kernels::HeadShape s = shape_of(graph, node);
  s.tokens -= node.attributes.as<HeadAttributes>().ahead;
  return 6.0 * static_cast<double>(s.tokens) * static_cast<double>(s.width) * static_cast<double>(s.vocabulary);
}

int64_t workspace(const Graph& graph, const Node& node) {
  return kernels::head_workspace_bytes(shape_of(graph, node));
}

const char* slower(const Graph& graph, const Node& node) {
  const kernels::HeadShape s = shape_of(graph, node);
  return kernels::slower_product(s.width, s.vocabulary, s.dtype);
}

std::vector<TensorType> infer_nothing(const Graph& graph, const Node& node) {
  shape_of(graph, node);
  return {};
}

const std::byte* row_of(const KernelArguments& a, const kernels::HeadShape& shape, int64_t row) {
  return a.in<std::byte>(0) + row * shape.width * tensor::dtype_bytes(shape.dtype);
}

// Inputs: x, packed weight, targets, rows, losses (written).
void run_loss_cpu(const KernelArguments& a) {
  kernels::HeadShape shape = shape_of(a.graph, a.node);
  const int64_t first = a.in<int32_t>(3)[0], end = a.in<int32_t>(3)[1];
  CHECK(0 <= first && first < end && end <= shape.tokens, "rows {} to {} of {}", first, end, shape.tokens);
  shape.tokens = end - first;
  kernels::head_loss(shape, row_of(a, shape, first), a.inputs[1], a.node.attributes.as<HeadAttributes>().options,
                     a.in<uint16_t>(2) + first, static_cast<double*>(a.inputs[4]), a.workspace);
}

// Inputs: x, packed weight, packed transposed weight, targets, loss_scale, loss? (written). Outputs: dx, weight
// gradient.
std::vector<TensorType> infer_train(const Graph& graph, const Node& node) {
  CHECK(node.attributes.as<HeadAttributes>().ahead < shape_of(graph, node).tokens, "{}", graph.describe(node));
  return {{graph.value(node.inputs[0]).shape, tensor::Dtype::kFloat32}};
}

void vjp_train(Backward& backward, const Node& node) {
  backward.add_gradient(node.inputs[0], node.outputs[0]);
}

void run_train_cpu(const KernelArguments& a) {
  const auto attributes = a.node.attributes.as<HeadAttributes>();
  kernels::HeadShape shape = shape_of(a.graph, a.node);
  shape.tokens -= attributes.ahead;
  float* dx = a.out<float>(0);
  const double loss = kernels::head_loss_and_gradient(
      shape, a.inputs[0], a.inputs[1], a.inputs[2], attributes.options, attributes.share * *a.in<float>(4),
      a.in<uint16_t>(3) + attributes.ahead, dx, a.out<float>(1), a.workspace);
  kernels::fill(dx + shape.tokens * shape.width, 0, attributes.ahead * shape.width);
  if (a.inputs[5] != nullptr) *static_cast<double*>(a.inputs[5]) = loss;
}

// Inputs: x, packed weight, count, logits (written).
void run_logits_cpu(const KernelArguments& a) {
  kernels::HeadShape shape = shape_of(a.graph, a.node);
  const int64_t row = *a.in<int32_t>(2) - 1;
  shape.tokens = 1;
  kernels::head_logits(shape, row_of(a, shape, row), a.inputs[1], a.node.attributes.as<HeadAttributes>().options,
                       static_cast<float*>(a.inputs[3]));
}

}  // namespace

const Op kHeadLoss{.name = "head_loss",
                   .infer = infer_nothing,
                   .vjp = nullptr,
                   .flops = forward_flops,
                   .workspace_bytes = workspace,
                   .slower = slower,
                   .kernels = {run_loss_cpu}};
const Op kHeadTrain{.name = "head_train",
                    .infer = infer_train,
                    .vjp = vjp_train,
                    .flops = train_flops,
                    .workspace_bytes = workspace,
                    .slower = slower,
                    .carries_gradient = true,
                    .kernels = {run_train_cpu}};
const Op kHeadLogits{.name = "head_logits", .infer = infer_nothing, .vjp = nullptr, .kernels = {run_logits_cpu}};

void head_loss(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId targets, ValueId rows,
               ValueId losses) {
  const ValueId packed = graph.packed(weight, false, graph.value(x).dtype);
  graph.append(kHeadLoss, {x, packed, targets, rows, losses}, Attributes::of(attributes));
}

void head_train(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId targets,
                ValueId loss_scale, ValueId loss) {
  const tensor::Dtype dtype = graph.value(x).dtype;
  const ValueId packed = graph.packed(weight, false, dtype), transposed = graph.packed(weight, true, dtype);
  graph.append(kHeadTrain, {x, packed, transposed, targets, loss_scale, loss}, Attributes::of(attributes),
               {graph.parameter_gradient(weight)});
}

void head_logits(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId count,
                 ValueId logits) {
  const ValueId packed = graph.packed(weight, false, graph.value(x).dtype);
  graph.append(kHeadLogits, {x, packed, count, logits}, Attributes::of(attributes));
}

}  // namespace flywheel::graph
