#include "engine/graph/ops/embedding.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Inputs: tokens, table, positions?, position?. Output: x.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const tensor::Shape &tokens = graph.value(node.inputs[0]).shape, &table = graph.value(node.inputs[1]).shape;
  const tensor::Shape x{tokens[0], table[1]};
  const bool whole = node.inputs[3] == kNoValue;
  CHECK(node.inputs[2] == kNoValue || !whole || graph.value(node.inputs[2]).shape == x, "{}", graph.describe(node));
  return {{x, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId positions = node.inputs[2] == kNoValue ? kNoValue : backward.parameter_gradient(node.inputs[2]);
  backward.graph.append(kEmbeddingBackward, {node.inputs[0], backward.gradient(node.outputs[0])}, {},
                        {backward.parameter_gradient(node.inputs[1]), positions});
}

void run_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.out_value(0).shape;
  const float* positions = a.in<float>(2);
  if (positions != nullptr && a.inputs[3] != nullptr) positions += *a.in<int32_t>(3) * x[1];
  kernels::embedding_forward(a.in<uint16_t>(0), a.in<float>(1), positions, x[0], x[1], a.out<float>(0));
}

// Inputs: tokens, dx. Outputs: gradients of table and positions?, added to.
std::vector<TensorType> infer_backward(const Graph&, const Node&) {
  return {};
}

void run_backward_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(1).shape;
  kernels::embedding_backward(a.in<uint16_t>(0), a.in<float>(1), x[0], x[1], a.out<float>(0), a.out<float>(1));
}

}  // namespace

const Op kEmbedding{.name = "embedding", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kEmbeddingBackward{
    .name = "embedding_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId embedding(Graph& graph, ValueId tokens, ValueId table, ValueId positions, ValueId position) {
  return graph.append(kEmbedding, {tokens, table, positions, position})[0];
}

}  // namespace flywheel::graph
