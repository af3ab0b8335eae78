#include "engine/graph/ops/convert.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Input: x. Output: x in the attribute's dtype.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const tensor::Dtype dtype = node.attributes.as<tensor::Dtype>();
  CHECK(x.dtype != dtype && (x.dtype == tensor::Dtype::kFloat32 || dtype == tensor::Dtype::kFloat32), "{}",
        graph.describe(node));
  return {{x.shape, dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const tensor::Dtype dtype = backward.graph.value(node.inputs[0]).dtype;
  backward.add_gradient(node.inputs[0], convert(backward.graph, backward.gradient(node.outputs[0]), dtype));
}

void run_cpu(const KernelArguments& arguments) {
  const int64_t n = arguments.out_value(0).shape.elements();
  if (arguments.in_value(0).dtype == tensor::Dtype::kFloat32) {
    kernels::convert(arguments.in<float>(0), arguments.out<tensor::Bf16>(0), n);
  } else {
    kernels::convert(arguments.in<tensor::Bf16>(0), arguments.out<float>(0), n);
  }
}

}  // namespace

const Op kConvert{.name = "convert", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};

ValueId convert(Graph& graph, ValueId x, tensor::Dtype dtype) {
  if (graph.value(x).dtype == dtype) return x;
  return graph.append(kConvert, {x}, Attributes::of(dtype))[0];
}

}  // namespace flywheel::graph
