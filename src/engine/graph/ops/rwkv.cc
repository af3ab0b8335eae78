#include "engine/graph/ops/rwkv.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"

namespace flywheel::graph {
namespace {

kernels::RwkvShape shape_of(const Graph& graph, const Node& node) {
  const auto a = node.attributes.as<RwkvHeads>();
  return {
      .tokens = graph.value(node.inputs[0]).shape[0], .heads = a.heads, .key_dim = a.key_dim, .value_dim = a.value_dim};
}

bool has_type(const Graph& graph, ValueId id, const tensor::Shape& shape, tensor::Dtype dtype) {
  return graph.value(id).shape == shape && graph.value(id).dtype == dtype;
}

// Inputs: receptance, key, value, rate, rate_bias, removal, replacement. Outputs: qkv, ab.
std::vector<TensorType> infer_keys(const Graph& graph, const Node& node) {
  const kernels::RwkvShape s = shape_of(graph, node);
  const tensor::Dtype dtype = graph.value(node.inputs[0]).dtype;
  bool fits = has_type(graph, node.inputs[2], {s.tokens, s.values()}, dtype);
  for (size_t i : {0, 1, 3}) fits = fits && has_type(graph, node.inputs[i], {s.tokens, s.keys()}, dtype);
  for (size_t i : {4, 5, 6}) fits = fits && has_type(graph, node.inputs[i], {s.keys()}, tensor::Dtype::kFloat32);
  CHECK(fits, "{}", graph.describe(node));
  return {{tensor::Shape{s.tokens, s.qkv_width()}, dtype}, {tensor::Shape{s.tokens, 2 * s.keys()}, dtype}};
}

// The receptance and the value only pass through: backward does not need them.
void vjp_keys(Backward& backward, const Node& node) {
  std::vector<ValueId> inputs(node.inputs.begin() + 3, node.inputs.end());
  inputs.insert(inputs.begin(), node.inputs[1]);
  for (ValueId output : node.outputs) inputs.push_back(backward.gradient(output));
  const auto outputs =
      backward.graph.append(kRwkvKeysBackward, std::move(inputs), node.attributes,
                            {backward.parameter_gradient(node.inputs[4]), backward.parameter_gradient(node.inputs[5]),
                             backward.parameter_gradient(node.inputs[6])});
  for (size_t i = 0; i < 4; ++i) backward.add_gradient(node.inputs[i], outputs[i]);
}

void run_keys_cpu(const KernelArguments& a) {
  const kernels::RwkvKeys inputs{.receptance = a.inputs[0],
                                 .key = a.inputs[1],
                                 .value = a.inputs[2],
                                 .rate = a.inputs[3],
                                 .rate_bias = a.in<float>(4),
                                 .removal = a.in<float>(5),
                                 .replacement = a.in<float>(6)};
  kernels::rwkv_keys_forward(shape_of(a.graph, a.node), a.in_value(0).dtype, inputs, a.outputs[0], a.outputs[1]);
}

// Inputs: key, rate, rate_bias, removal, replacement, dqkv, dab. Outputs: gradients of what forward took, in its order.
std::vector<TensorType> infer_keys_backward(const Graph& graph, const Node& node) {
  const kernels::RwkvShape s = shape_of(graph, node);
  const tensor::Dtype dtype = graph.value(node.inputs[0]).dtype;
  CHECK(has_type(graph, node.inputs[5], {s.tokens, s.qkv_width()}, dtype) &&
            has_type(graph, node.inputs[6], {s.tokens, 2 * s.keys()}, dtype),
        "{}", graph.describe(node));
  const TensorType keys{tensor::Shape{s.tokens, s.keys()}, dtype};
  return {keys, keys, {tensor::Shape{s.tokens, s.values()}, dtype}, keys};
}

void run_keys_backward_cpu(const KernelArguments& a) {
  const kernels::RwkvKeys inputs{.receptance = nullptr,
                                 .key = a.inputs[0],
                                 .value = nullptr,
                                 .rate = a.inputs[1],
                                 .rate_bias = a.in<float>(2),
                                 .removal = a.in<float>(3),
                                 .replacement = a.in<float>(4)};
  const kernels::RwkvKeyGradients gradients{.receptance = a.outputs[0],
                                            .key = a.outputs[1],
                                            .value = a.outputs[2],
                                            .rate = a.outputs[3],
                                            .rate_bias = a.out<float>(4),
                                            .removal = a.out<float>(5),
                                            .replacement = a.out<float>(6)};
  kernels::rwkv_keys_backward(shape_of(a.graph, a.node), a.in_value(0).dtype, inputs, a.inputs[5], a.inputs[6],
                              gradients);
}

kernels::RwkvOutput output_inputs(const KernelArguments& a) {
  return {.mixed = a.inputs[0],
          .qkv = a.inputs[1],
          .gate = a.inputs[2],
          .gain = a.in<float>(3),
          .bias = a.in<float>(4),
          .bonus = a.in<float>(5)};
}

// Inputs: mixed, qkv, gate, gain, bias, bonus. Output: y.
std::vector<TensorType> infer_output(const Graph& graph, const Node& node) {
  const kernels::RwkvShape s = shape_of(graph, node);
  const Value& mixed = graph.value(node.inputs[0]);
  CHECK(has_type(graph, node.inputs[0], {s.tokens, s.values()}, mixed.dtype) &&
            has_type(graph, node.inputs[1], {s.tokens, s.qkv_width()}, mixed.dtype) &&
            has_type(graph, node.inputs[2], mixed.shape, mixed.dtype) &&
            has_type(graph, node.inputs[3], {s.values()}, tensor::Dtype::kFloat32) &&
            has_type(graph, node.inputs[4], {s.values()}, tensor::Dtype::kFloat32) &&
            has_type(graph, node.inputs[5], {s.keys()}, tensor::Dtype::kFloat32),
        "{}", graph.describe(node));
  return {{mixed.shape, mixed.dtype}};
}

void vjp_output(Backward& backward, const Node& node) {
  std::vector<ValueId> inputs = node.inputs;
  inputs.push_back(backward.gradient(node.outputs[0]));
  const auto outputs =
      backward.graph.append(kRwkvOutputBackward, std::move(inputs), node.attributes,
                            {backward.parameter_gradient(node.inputs[3]), backward.parameter_gradient(node.inputs[4]),
                             backward.parameter_gradient(node.inputs[5])});
  for (size_t i = 0; i < 3; ++i) backward.add_gradient(node.inputs[i], outputs[i]);
}

void run_output_cpu(const KernelArguments& a) {
  kernels::rwkv_output_forward(shape_of(a.graph, a.node), a.in_value(0).dtype, output_inputs(a), a.outputs[0]);
}

// Inputs: those of forward, dy. Outputs: gradients of them.
std::vector<TensorType> infer_output_backward(const Graph& graph, const Node& node) {
  std::vector<TensorType> types;
  for (size_t i = 0; i < 3; ++i)
    types.push_back({graph.value(node.inputs[i]).shape, graph.value(node.inputs[i]).dtype});
  CHECK(graph.value(node.inputs[6]).dtype == types[0].dtype, "{}", graph.describe(node));
  return types;
}

void run_output_backward_cpu(const KernelArguments& a) {
  const kernels::RwkvOutputGradients gradients{.mixed = a.outputs[0],
                                               .qkv = a.outputs[1],
                                               .gate = a.outputs[2],
                                               .gain = a.out<float>(3),
                                               .bias = a.out<float>(4),
                                               .bonus = a.out<float>(5)};
  kernels::rwkv_output_backward(shape_of(a.graph, a.node), a.in_value(0).dtype, output_inputs(a), a.inputs[6],
                                gradients);
}

}  // namespace

const Op kRwkvKeys{.name = "rwkv_keys", .infer = infer_keys, .vjp = vjp_keys, .kernels = {run_keys_cpu}};
const Op kRwkvKeysBackward{
    .name = "rwkv_keys_backward", .infer = infer_keys_backward, .vjp = nullptr, .kernels = {run_keys_backward_cpu}};
const Op kRwkvOutput{.name = "rwkv_output", .infer = infer_output, .vjp = vjp_output, .kernels = {run_output_cpu}};
const Op kRwkvOutputBackward{.name = "rwkv_output_backward",
                             .infer = infer_output_backward,
                             .vjp = nullptr,
                             .kernels = {run_output_backward_cpu}};

RwkvKeyValues rwkv_keys(Graph& graph, const RwkvKeyOperands& o, const RwkvHeads& heads) {
  const auto outputs = graph.append(
      kRwkvKeys, {o.receptance, o.key, o.value, o.rate, o.rate_bias, o.removal, o.replacement}, Attributes::of(heads));
  return {outputs[0], outputs[1]};
}

ValueId rwkv_output(Graph& graph, const RwkvOutputOperands& o, const RwkvHeads& heads) {
  return graph.append(kRwkvOutput, {o.mixed, o.qkv, o.gate, o.gain, o.bias, o.bonus}, Attributes::of(heads))[0];
}

}  // namespace flywheel::graph
