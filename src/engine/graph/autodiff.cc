#include "engine/graph/autodiff.h"

#include "base/check.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/add.h"

namespace flywheel::graph {

ValueId Backward::gradient(ValueId value) const {
  if (value == kNoValue || static_cast<size_t>(value) >= gradients_.size()) return kNoValue;
  return gradients_[static_cast<size_t>(value)];
}

bool Backward::wanted(ValueId value) const {
  return value != kNoValue && wanted_[static_cast<size_t>(value)] != 0;
}

void Backward::add_gradient(ValueId value, ValueId gradient) {
  if (!wanted(value)) return;
  CHECK(graph.value(value).storage != Storage::kParameter && graph.value(value).storage != Storage::kPacked,
        "the vjp must add to parameter_gradient of {}", graph.value(value).name);
  CHECK(graph.value(value).shape == graph.value(gradient).shape, "gradient of {}", graph.value(value).name);
  ValueId& sum = gradients_[static_cast<size_t>(value)];
  sum = sum == kNoValue ? gradient : add(graph, sum, gradient);
}

ValueId Backward::parameter_gradient(ValueId parameter_or_packed) {
  const Value& value = graph.value(parameter_or_packed);
  return graph.parameter_gradient(value.storage == Storage::kPacked ? value.parameter : parameter_or_packed);
}

std::vector<ValueId> differentiate(Graph& graph, std::span<const std::pair<ValueId, ValueId>> seeds,
                                   std::span<const ValueId> with_respect_to) {
  Backward backward(graph);
  backward.gradients_.assign(graph.values().size(), kNoValue);
  backward.wanted_.assign(graph.values().size(), 0);
  for (size_t i = 0; i < graph.values().size(); ++i) {
    const Storage storage = graph.values()[i].storage;
    backward.wanted_[i] = storage == Storage::kParameter || storage == Storage::kPacked;
  }
  for (ValueId value : with_respect_to) backward.wanted_[static_cast<size_t>(value)] = 1;
  for (const Node& node : graph.nodes()) {
    bool any = false;
    for (ValueId input : node.inputs) any = any || backward.wanted(input);
    for (ValueId output : node.outputs) {
      if (any && output != kNoValue) backward.wanted_[static_cast<size_t>(output)] = 1;
    }
  }
  for (const auto& [value, seed] : seeds) backward.gradients_[static_cast<size_t>(value)] = seed;

  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const Node node = graph.nodes()[i];
    bool reached = node.op->carries_gradient;
    bool any_wanted = false;
    for (ValueId output : node.outputs) {
      reached = reached || backward.gradient(output) != kNoValue;
      any_wanted = any_wanted || backward.wanted(output);
    }
    if (!reached || !any_wanted) continue;
    CHECK(node.op->vjp != nullptr, "{} is not differentiable", node.op->name);
    node.op->vjp(backward, node);
  }
  std::vector<ValueId> result;
  for (ValueId value : with_respect_to) result.push_back(backward.gradient(value));
  return result;
}

}  // namespace flywheel::graph
