#include "engine/graph/ops/add.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"

namespace flywheel::graph {
namespace {

// Inputs: a, b. Output: a + b.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value &a = graph.value(node.inputs[0]), &b = graph.value(node.inputs[1]);
  CHECK(a.shape == b.shape && a.dtype == b.dtype, "{}", graph.describe(node));
  return {{a.shape, a.dtype}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId gradient = backward.gradient(node.outputs[0]);
  backward.add_gradient(node.inputs[0], gradient);
  backward.add_gradient(node.inputs[1], gradient);
}

template <typename T>
void run(const T* a, const T* b, T* sum, int64_t n) {
  if (sum == b) std::swap(a, b);
  if (sum != a) std::memcpy(sum, a, static_cast<size_t>(n) * sizeof(T));
  kernels::add(b, sum, n);
}

void run_cpu(const KernelArguments& arguments) {
  const Value& sum = arguments.out_value(0);
  const int64_t n = sum.shape.elements();
  if (sum.dtype == tensor::Dtype::kBfloat16) {
    run(arguments.in<tensor::Bf16>(0), arguments.in<tensor::Bf16>(1), arguments.out<tensor::Bf16>(0), n);
  } else {
    run(arguments.in<float>(0), arguments.in<float>(1), arguments.out<float>(0), n);
  }
}

}  // namespace

const Op kAdd{.name = "add", .infer = infer, .vjp = vjp, .in_place = {0, 1}, .kernels = {run_cpu}};

ValueId add(Graph& graph, ValueId a, ValueId b) {
  return graph.append(kAdd, {a, b})[0];
}

}  // namespace flywheel::graph
