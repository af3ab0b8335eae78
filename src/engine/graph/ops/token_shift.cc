// token_shift and squash: how RWKV-7 makes what its projections read, and bends what they give.
#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/rwkv.h"

namespace flywheel::graph {
namespace {

constexpr size_t kStreams = static_cast<size_t>(kernels::kShifts);

// Inputs: h, shares. Outputs: the streams.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& h = graph.value(node.inputs[0]);
  CHECK(graph.value(node.inputs[1]).shape == tensor::Shape({kernels::kShifts, h.shape[1]}), "{}", graph.describe(node));
  return std::vector<TensorType>(kStreams, {h.shape, h.dtype});
}

void vjp(Backward& backward, const Node& node) {
  std::vector<ValueId> inputs = {node.inputs[0], node.inputs[1]};
  for (ValueId stream : node.outputs) inputs.push_back(backward.gradient(stream));
  const ValueId dh = backward.graph.append(kTokenShiftBackward, std::move(inputs), {},
                                           {backward.parameter_gradient(node.inputs[1])})[0];
  backward.add_gradient(node.inputs[0], dh);
}

void run_cpu(const KernelArguments& a) {
  const Value& h = a.in_value(0);
  kernels::token_shift_forward(h.shape[0], h.shape[1], h.dtype, a.inputs[0], nullptr, a.in<float>(1), a.outputs);
}

// Inputs: h, shares, gradients of the streams. Outputs: dh, gradient of shares.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  const Value& h = graph.value(node.inputs[0]);
  for (size_t i = 2; i < node.inputs.size(); ++i)
    CHECK(node.inputs[i] == kNoValue || graph.value(node.inputs[i]).dtype == h.dtype, "{}", graph.describe(node));
  return {{h.shape, h.dtype}};
}

void run_backward_cpu(const KernelArguments& a) {
  const Value& h = a.in_value(0);
  kernels::token_shift_backward(h.shape[0], h.shape[1], h.dtype, a.inputs[0], a.in<float>(1), a.inputs + 2,
                                a.outputs[0], a.out<float>(1));
}

// Inputs: h, shares, before (state). Outputs: the streams.
std::vector<TensorType> infer_step(const Graph& graph, const Node& node) {
  const Value &h = graph.value(node.inputs[0]), &before = graph.value(node.inputs[2]);
  CHECK(h.shape[0] == 1 && before.storage == Storage::kState && before.shape == h.shape && before.dtype == h.dtype,
        "{}", graph.describe(node));
  return infer(graph, node);
}

void run_step_cpu(const KernelArguments& a) {
  const Value& h = a.in_value(0);
  kernels::token_shift_forward(1, h.shape[1], h.dtype, a.inputs[0], a.inputs[2], a.in<float>(1), a.outputs);
  std::memcpy(a.inputs[2], a.inputs[0], static_cast<size_t>(h.shape[1] * tensor::dtype_bytes(h.dtype)));
}

// Input: x. Output: y.
std::vector<TensorType> infer_squash(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  return {{x.shape, x.dtype}};
}

void vjp_squash(Backward& backward, const Node& node) {
  const ValueId dx =
      backward.graph.append(kSquashBackward, {node.outputs[0], backward.gradient(node.outputs[0])}, node.attributes)[0];
  backward.add_gradient(node.inputs[0], dx);
}

void run_squash_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  kernels::squash_forward(a.node.attributes.as<kernels::Squash>(), x.dtype, a.inputs[0], a.outputs[0],
                          x.shape.elements());
}

// Inputs: y, dy. Output: dx.
void run_squash_backward_cpu(const KernelArguments& a) {
  const Value& y = a.in_value(0);
  kernels::squash_backward(a.node.attributes.as<kernels::Squash>(), y.dtype, a.inputs[0], a.inputs[1], a.outputs[0],
                           y.shape.elements());
}

}  // namespace

const Op kTokenShift{.name = "token_shift", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kTokenShiftBackward{
    .name = "token_shift_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};
const Op kTokenShiftStep{.name = "token_shift_step", .infer = infer_step, .vjp = nullptr, .kernels = {run_step_cpu}};
const Op kSquash{.name = "squash", .infer = infer_squash, .vjp = vjp_squash, .kernels = {run_squash_cpu}};
const Op kSquashBackward{
    .name = "squash_backward", .infer = infer_squash, .vjp = nullptr, .kernels = {run_squash_backward_cpu}};

std::vector<ValueId> token_shift(Graph& graph, ValueId h, ValueId shares) {
  return graph.append(kTokenShift, {h, shares});
}
std::vector<ValueId> token_shift_step(Graph& graph, ValueId h, ValueId shares, ValueId before) {
  return graph.append(kTokenShiftStep, {h, shares, before});
}
ValueId squash(Graph& graph, kernels::Squash kind, ValueId x) {
  return graph.append(kSquash, {x}, Attributes::of(kind))[0];
}

}  // namespace flywheel::graph
