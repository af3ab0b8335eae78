// RWKV-7 (Peng et al. 2025): S_t = (diag(w_t) - u (r u)ᵀ) S_{t-1} + k vᵀ. What the state holds for the direction u of a
// key is removed at a rate r per channel, and every channel decays on its own. Inputs are mixed with the token before;
// the output is group-normalised, given a bonus for the token itself, and gated. Values of layers after the first go a
// learned part of the way to the first one's.
#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/rwkv.h"
#include "engine/graph/ops/value_lerp.h"
#include "engine/model/initialisation.h"
#include "engine/model/recurrent.h"
#include "recipe/recurrent.h"

namespace flywheel::model {
namespace {

using graph::ValueId;

enum Stream : size_t { kReceptance, kDecay, kKey, kValue, kRate, kGate };

std::vector<ValueId> shifted(Builder& b, const MixerInput& input) {
  const double depth = static_cast<double>(input.layer) / b.size.layers, width = b.size.width;
  const ValueId shares = b.ruled(input.name + ".shares", {kernels::kShifts, b.size.width},
                                 [=](Rng&, int64_t i) { return initial_share(i, width, depth); });
  if (!b.recurrent()) return graph::token_shift(b.graph, input.h, shares);
  const ValueId before = b.graph.state(input.name + ".before", {1, b.size.width}, b.compute_dtype);
  return graph::token_shift_step(b.graph, input.h, shares, before);
}

// v + (v of the first layer - v) sigmoid(a low-rank projection of the value's stream + bias).
ValueId with_first_values(Builder& b, const std::string& name, ValueId value, ValueId stream) {
  if (b.first_values == graph::kNoValue) return b.first_values = value;
  const int64_t values = b.graph.value(value).shape[1], rank = recipe::rwkv_value_rank(b.size);
  const ValueId down = b.matrix(name + ".first_value_down", rank, b.size.width);
  const ValueId up = b.matrix(name + ".first_value", values, rank);
  const ValueId low = graph::linear(b.graph, stream, down, b.compute_dtype);
  return graph::value_lerp(b.graph, value, b.first_values, graph::linear(b.graph, low, up, b.compute_dtype),
                           b.vector(name + ".first_value_bias", values, 1));
}

}  // namespace

ValueId rwkv7(Builder& b, const MixerInput& input) {
  graph::RecurrenceAttributes a = recurrence_attributes(b);
  a.channel_decay = true;
  a.delta = kernels::Delta::kGiven;
  const graph::RwkvHeads heads{.heads = a.heads, .key_dim = a.key_dim, .value_dim = a.value_dim};
  const int64_t keys = int64_t{a.heads} * a.key_dim, values = int64_t{a.heads} * a.value_dim;
  const int64_t rank = recipe::rwkv_rank(b.size), gate_rank = recipe::rwkv_gate_rank(b.size);
  const auto named = [&](const char* part) { return input.name + "." + part; };
  const std::vector<ValueId> streams = shifted(b, input);
  const auto project = [&](ValueId x, const char* name, int64_t out) {
    return graph::linear(b.graph, x, b.matrix(named(name), out, b.graph.value(x).shape[1]), b.compute_dtype);
  };
  const ValueId receptance = project(streams[kReceptance], "receptance", keys);
  const ValueId key = project(streams[kKey], "key", keys);
  const ValueId own_value = project(streams[kValue], "value", values);
  const ValueId value = with_first_values(b, input.name, own_value, streams[kValue]);
  const ValueId decay_low =
      graph::squash(b.graph, kernels::Squash::kTanh, project(streams[kDecay], "decay_down", rank));
  const ValueId decay_bias = b.ruled(named("decay_bias"), {keys},
                                     [keys, depth = static_cast<double>(input.layer) / b.size.layers](Rng&, int64_t i) {
                                       return initial_decay_bias(i, keys, depth);
                                     });
  const ValueId log_decay =
      graph::forget(b.graph, kernels::Forget::kSigmoid, project(decay_low, "decay", keys), decay_bias).log_decay;
  const ValueId rate = project(project(streams[kRate], "rate_down", rank), "rate", keys);
  const ValueId gate_low =
      graph::squash(b.graph, kernels::Squash::kSigmoid, project(streams[kGate], "gate_down", gate_rank));
  const ValueId gate = project(gate_low, "gate", values);
  const graph::RwkvKeyValues made = graph::rwkv_keys(b.graph,
                                                     {.receptance = receptance,
                                                      .key = key,
                                                      .value = value,
                                                      .rate = rate,
                                                      .rate_bias = b.vector(named("rate_bias"), keys, 0),
                                                      .removal = b.vector(named("removal"), keys, 0.85),
                                                      .replacement = b.vector(named("replacement"), keys, 1)},
                                                     heads);
  const ValueId mixed = recur(b, input.name, {.qkv = made.qkv, .log_decay = log_decay, .ab = made.ab}, a);
  const ValueId y = graph::rwkv_output(b.graph,
                                       {.mixed = mixed,
                                        .qkv = made.qkv,
                                        .gate = gate,
                                        .gain = b.vector(named("out_norm.gain"), values, 1),
                                        .bias = b.vector(named("out_norm.bias"), values, 0),
                                        .bonus = b.vector(named("bonus"), keys, 0)},
                                       heads);
  const ValueId out = b.matrix(named("out"), b.size.width, values, true);
  return graph::linear(b.graph, y, out, tensor::Dtype::kFloat32);
}

}  // namespace flywheel::model
