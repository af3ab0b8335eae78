#include "engine/graph/ops/scale.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Input: x. Output: factor * x.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  CHECK(x.dtype == tensor::Dtype::kFloat32, "{}", graph.describe(node));
  return {{x.shape, x.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  backward.add_gradient(node.inputs[0],
                        backward.graph.append(kScale, {backward.gradient(node.outputs[0])}, node.attributes)[0]);
}

void run_cpu(const KernelArguments& arguments) {
  const int64_t n = arguments.out_value(0).shape.elements();
  const float* x = arguments.in<float>(0);
  float* y = arguments.out<float>(0);
  if (x != y) std::memcpy(y, x, static_cast<size_t>(n) * sizeof(float));
  kernels::scale(y, arguments.node.attributes.as<float>(), n);
}

}  // namespace

const Op kScale{.name = "scale", .infer = infer, .vjp = vjp, .in_place = {0}, .kernels = {run_cpu}};

ValueId scale(Graph& graph, ValueId x, float factor) {
  return graph.append(kScale, {x}, Attributes::of(factor))[0];
}

}  // namespace flywheel::graph
