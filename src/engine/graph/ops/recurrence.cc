#include "engine/graph/ops/recurrence.h"

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"

namespace flywheel::graph {
namespace {

enum Input : size_t { kQkv, kLogDecay, kBeta, kAb, kSkip, kDout, kStates };
constexpr size_t kState = kDout;  // of the step

kernels::RecurrenceShape shape_of(const Graph& graph, const Node& node) {
  const auto a = node.attributes.as<RecurrenceAttributes>();
  return {.tokens = graph.value(node.inputs[kQkv]).shape[0],
          .heads = a.heads,
          .key_dim = a.key_dim,
          .value_dim = a.value_dim,
          .shared_keys = a.shared_keys,
          .channel_decay = a.channel_decay,
          .unit_keys = a.unit_keys,
          .delta = a.delta,
          .query_scale = a.query_scale};
}

kernels::RecurrenceInputs inputs_of(const KernelArguments& a) {
  return {.qkv = a.inputs[kQkv],
          .log_decay = a.in<float>(kLogDecay),
          .beta = a.in<float>(kBeta),
          .ab = a.inputs[kAb],
          .skip = a.in<float>(kSkip)};
}

// The type of out; the operands fit.
TensorType output_type(const Graph& graph, const Node& node) {
  const kernels::RecurrenceShape s = shape_of(graph, node);
  const auto fits = [&](Input input, const tensor::Shape& shape, tensor::Dtype dtype) {
    const ValueId id = node.inputs[input];
    return id == kNoValue || (graph.value(id).shape == shape && graph.value(id).dtype == dtype);
  };
  const tensor::Dtype dtype = graph.value(node.inputs[kQkv]).dtype;
  CHECK(fits(kQkv, {s.tokens, s.qkv_width()}, dtype) &&
            fits(kLogDecay, {s.tokens, s.decay_width()}, tensor::Dtype::kFloat32) &&
            fits(kBeta, {s.tokens, s.heads}, tensor::Dtype::kFloat32) &&
            fits(kAb, {s.tokens, 2 * int64_t{s.heads} * s.key_dim}, dtype) &&
            fits(kSkip, {s.heads}, tensor::Dtype::kFloat32) &&
            (node.inputs[kAb] != kNoValue) == (s.delta == kernels::Delta::kGiven),
        "{}", graph.describe(node));
  return {tensor::Shape{s.tokens, int64_t{s.heads} * s.value_dim}, dtype};
}

// Inputs: qkv, log_decay, beta?, ab?, skip?. Outputs: out, states for backward.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  return {output_type(graph, node),
          {tensor::Shape{kernels::recurrence_state_elements(shape_of(graph, node))}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  std::vector<ValueId> inputs = node.inputs;
  inputs.push_back(backward.gradient(node.outputs[0]));
  inputs.push_back(node.outputs[1]);
  const ValueId skip = node.inputs[kSkip];
  const auto outputs = backward.graph.append(kRecurrenceBackward, std::move(inputs), node.attributes,
                                             {skip == kNoValue ? kNoValue : backward.parameter_gradient(skip)});
  for (size_t i : {kQkv, kLogDecay, kBeta, kAb}) {
    if (node.inputs[i] != kNoValue) backward.add_gradient(node.inputs[i], outputs[i]);
  }
}

// Its recurrent form: k v and q S, and with the delta terms a S and b u.
double flops(const Graph& graph, const Node& node) {
  const kernels::RecurrenceShape s = shape_of(graph, node);
  const double products = s.delta == kernels::Delta::kNone ? 4 : 8;
  return products * static_cast<double>(s.tokens) * s.heads * s.key_dim * s.value_dim;
}
double backward_flops(const Graph& graph, const Node& node) {
  return 2.0 * flops(graph, node);
}

int64_t workspace(const Graph& graph, const Node& node) {
  return kernels::recurrence_workspace_bytes(shape_of(graph, node));
}

void run_cpu(const KernelArguments& a) {
  kernels::recurrence_forward(shape_of(a.graph, a.node), a.in_value(kQkv).dtype, inputs_of(a), a.outputs[0],
                              a.out<float>(1), a.workspace);
}

// Inputs: those of forward, dout, states. Outputs: gradients of qkv, log_decay, beta (one element without), ab (the
// same), skip?.
std::vector<TensorType> infer_backward(const Graph& graph, const Node& node) {
  std::vector<TensorType> types;
  for (size_t i : {kQkv, kLogDecay, kBeta, kAb}) {
    const ValueId id = node.inputs[i];
    types.push_back(id == kNoValue ? TensorType{tensor::Shape{1}}
                                   : TensorType{graph.value(id).shape, graph.value(id).dtype});
  }
  CHECK(graph.value(node.inputs[kDout]).dtype == types[0].dtype, "{}", graph.describe(node));
  return types;
}

void run_backward_cpu(const KernelArguments& a) {
  const kernels::RecurrenceGradients gradients{.qkv = a.outputs[kQkv],
                                               .log_decay = a.out<float>(kLogDecay),
                                               .beta = a.inputs[kBeta] ? a.out<float>(kBeta) : nullptr,
                                               .ab = a.inputs[kAb] ? a.outputs[kAb] : nullptr,
                                               .skip = a.out<float>(kSkip)};
  kernels::recurrence_backward(shape_of(a.graph, a.node), a.in_value(kQkv).dtype, inputs_of(a), a.in<float>(kStates),
                               a.inputs[kDout], gradients, a.workspace);
}

// Inputs: those of recurrence, state. Output: out.
std::vector<TensorType> infer_step(const Graph& graph, const Node& node) {
  const kernels::RecurrenceShape s = shape_of(graph, node);
  const Value& state = graph.value(node.inputs[kState]);
  CHECK(s.tokens == 1 && state.storage == Storage::kState && state.dtype == tensor::Dtype::kFloat32 &&
            state.shape == tensor::Shape({s.heads, s.key_dim, s.value_dim}),
        "{}", graph.describe(node));
  return {output_type(graph, node)};
}

void run_step_cpu(const KernelArguments& a) {
  kernels::recurrence_step(shape_of(a.graph, a.node), a.in_value(kQkv).dtype, inputs_of(a),
                           static_cast<float*>(a.inputs[kState]), a.outputs[0]);
}

}  // namespace

const Op kRecurrence{.name = "recurrence",
                     .infer = infer,
                     .vjp = vjp,
                     .flops = flops,
                     .workspace_bytes = workspace,
                     .kernels = {run_cpu}};
const Op kRecurrenceBackward{.name = "recurrence_backward",
                             .infer = infer_backward,
                             .vjp = nullptr,
                             .flops = backward_flops,
                             .workspace_bytes = workspace,
                             .kernels = {run_backward_cpu}};
const Op kRecurrenceStep{.name = "recurrence_step", .infer = infer_step, .vjp = nullptr, .kernels = {run_step_cpu}};

ValueId recurrence(Graph& graph, const RecurrenceOperands& o, const RecurrenceAttributes& attributes) {
  return graph.append(kRecurrence, {o.qkv, o.log_decay, o.beta, o.ab, o.skip}, Attributes::of(attributes))[0];
}

ValueId recurrence_step(Graph& graph, const RecurrenceOperands& o, ValueId state,
                        const RecurrenceAttributes& attributes) {
  return graph.append(kRecurrenceStep, {o.qkv, o.log_decay, o.beta, o.ab, o.skip, state},
                      Attributes::of(attributes))[0];
}

}  // namespace flywheel::graph
