#include "engine/graph/ops/qk_prepare.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention.h"

namespace flywheel::graph {
namespace {

kernels::QkShape shape_of(const KernelArguments& a, const tensor::Shape& qkv, size_t cosines) {
  const auto attributes = a.node.attributes.as<QkPrepareAttributes>();
  return {.tokens = qkv[0],
          .stride = qkv[1],
          .vectors = attributes.vectors,
          .head_dim = attributes.head_dim,
          .qk_norm = attributes.qk_norm,
          .rotary = a.inputs[cosines] ? static_cast<int>(2 * a.in_value(cosines).shape[1]) : 0,
          .cosines = a.in<float>(cosines),
          .sines = a.in<float>(cosines + 1)};
}

void copy_unless_in_place(const Value& value, const void* from, void* to) {
  if (from != to) std::memcpy(to, from, static_cast<size_t>(value.shape.elements() * tensor::dtype_bytes(value.dtype)));
}

// Inputs: qkv, cosines?, sines?, position?. Outputs: prepared qkv, inverse_rms (T, vectors; one element when unused).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& qkv = graph.value(node.inputs[0]);
  const auto attributes = node.attributes.as<QkPrepareAttributes>();
  CHECK(attributes.vectors * attributes.head_dim <= qkv.shape[1], "{}", graph.describe(node));
  const tensor::Shape statistics =
      attributes.qk_norm ? tensor::Shape{qkv.shape[0], attributes.vectors} : tensor::Shape{1};
  return {{qkv.shape, qkv.dtype}, {statistics, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  const ValueId dqkv = backward.graph.append(
      kQkPrepareBackward,
      {node.outputs[0], node.outputs[1], node.inputs[1], node.inputs[2], backward.gradient(node.outputs[0])},
      node.attributes)[0];
  backward.add_gradient(node.inputs[0], dqkv);
}

void run_cpu(const KernelArguments& a) {
  const Value& qkv = a.in_value(0);
  copy_unless_in_place(qkv, a.inputs[0], a.outputs[0]);
  kernels::QkShape shape = shape_of(a, qkv.shape, 1);
  if (a.inputs[3] != nullptr && shape.cosines != nullptr) {
    const int64_t offset = *a.in<int32_t>(3) * a.in_value(1).shape[1];
    shape.cosines += offset;
    shape.sines += offset;
  }
  kernels::qk_prepare_forward(shape, qkv.dtype, a.outputs[0], a.out<float>(1));
}

// Inputs: prepared qkv, inverse_rms, cosines?, sines?, gradient of prepared qkv. Output: dqkv.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& qkv = graph.value(node.inputs[0]);
  CHECK(graph.value(node.inputs[4]).dtype == qkv.dtype, "{}", graph.describe(node));
  return {{qkv.shape, qkv.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& qkv = a.in_value(0);
  copy_unless_in_place(qkv, a.inputs[4], a.outputs[0]);
  kernels::qk_prepare_backward(shape_of(a, qkv.shape, 2), qkv.dtype, a.inputs[0], a.in<float>(1), a.outputs[0]);
}

}  // namespace

const Op kQkPrepare{.name = "qk_prepare", .infer = infer, .vjp = vjp, .in_place = {0}, .kernels = {run_cpu}};
const Op kQkPrepareBackward{.name = "qk_prepare_backward",
                            .infer = infer_backward,
                            .vjp = nullptr,
                            .in_place = {4},
                            .kernels = {run_backward_cpu}};

ValueId qk_prepare(Graph& graph, ValueId qkv, ValueId cosines, ValueId sines, const QkPrepareAttributes& attributes,
                   ValueId position) {
  return graph.append(kQkPrepare, {qkv, cosines, sines, position}, Attributes::of(attributes))[0];
}

}  // namespace flywheel::graph
