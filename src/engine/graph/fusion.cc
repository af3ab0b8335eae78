#include "engine/graph/fusion.h"

#include <algorithm>

#include "engine/graph/op.h"
#include "engine/graph/ops/activation.h"
#include "engine/graph/ops/add.h"
#include "engine/graph/ops/linear.h"

namespace flywheel::graph {
namespace {

bool is_linear(const Graph& graph, int node) {
  return node >= 0 && graph.nodes()[static_cast<size_t>(node)].op == &kLinear;
}

// y = linear(x); h = activation(y); ...; d = linear(e); dy = activation_backward(y, d)
//   =>  h, slope = linear with the activation in its epilogue; ...; dy = linear(e) times slope.
// Without a backward there is no slope. With another user of y, or a d that is not one linear's alone, nothing is done.
int activation_into_linear(Graph& graph) {
  int rewrites = 0;
  const Uses uses(graph);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& activation = graph.mutable_node(i);
    if (activation.op != &kActivation) continue;
    const ValueId y = activation.inputs[0];
    const int producer = uses.producer[static_cast<size_t>(y)];
    if (!is_linear(graph, producer) || graph.value(y).kept) continue;
    Node& linear = graph.mutable_node(static_cast<size_t>(producer));
    auto attributes = linear.attributes.as<LinearAttributes>();
    if (attributes.activation != kernels::Activation::kNone || linear.inputs[kLinearAccumulate] != kNoValue) continue;

    const std::vector<int>& readers = uses.readers[static_cast<size_t>(y)];
    if (readers.size() > 2) continue;
    if (readers.size() == 2) {
      Node& backward = graph.mutable_node(static_cast<size_t>(readers[1]));
      if (backward.op != &kActivationBackward) continue;
      const ValueId d = backward.inputs[1];
      const int source = uses.producer[static_cast<size_t>(d)];
      if (!is_linear(graph, source) || uses.readers[static_cast<size_t>(d)].size() != 1 || graph.value(d).kept)
        continue;
      Node& gradient = graph.mutable_node(static_cast<size_t>(source));
      if (gradient.inputs[kLinearAccumulate] != kNoValue || gradient.outputs.size() > 1) continue;
      gradient.inputs[kLinearFactor] = y;
      gradient.outputs[0] = backward.outputs[0];
      backward.op = nullptr;
      graph.rename(y, "slope");
    }
    attributes.activation = activation.attributes.as<kernels::Activation>();
    linear.attributes = Attributes::of(attributes);
    linear.outputs = {activation.outputs[0], readers.size() == 2 ? y : kNoValue};
    activation.op = nullptr;
    ++rewrites;
  }
  graph.compact();
  return rewrites;
}

// The node moves to where the sum was, so nothing may read another result of it before.
bool has_second_result(const Graph& graph, const Node& node) {
  return std::any_of(node.outputs.begin() + 1, node.outputs.end(),
                     [&](ValueId id) { return id != kNoValue && graph.value(id).storage == Storage::kArena; });
}

// s = add(a, f(x)), f able to add to its result and read by nobody else  =>  s = f(x, accumulate = a).
int add_into_producer(Graph& graph) {
  int rewrites = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    if (graph.nodes()[i].op != &kAdd) continue;
    const Uses uses(graph);
    const Node sum = graph.nodes()[i];
    int chosen = -1;
    ValueId other = kNoValue;
    for (size_t side : {0, 1}) {
      const ValueId term = sum.inputs[side];
      const int producer = uses.producer[static_cast<size_t>(term)];
      if (producer <= chosen || graph.value(term).kept || uses.readers[static_cast<size_t>(term)].size() != 1) continue;
      const Node& node = graph.nodes()[static_cast<size_t>(producer)];
      const int slot = node.op->accumulate_input;
      if (slot < 0 || node.inputs[static_cast<size_t>(slot)] != kNoValue || node.outputs[0] != term) continue;
      if (graph.value(term).dtype != tensor::Dtype::kFloat32 || has_second_result(graph, node)) continue;
      chosen = producer;  // the later of two candidates, so that nothing waits longer than it must
      other = sum.inputs[1 - side];
    }
    if (chosen < 0) continue;
    Node fused = graph.nodes()[static_cast<size_t>(chosen)];
    fused.inputs[static_cast<size_t>(fused.op->accumulate_input)] = other;
    fused.outputs[0] = sum.outputs[0];
    graph.mutable_node(i) = fused;
    graph.mutable_node(static_cast<size_t>(chosen)).op = nullptr;
    ++rewrites;
  }
  graph.compact();
  return rewrites;
}

// Every pass, in the order they run; each returns how many rewrites it made.
constexpr int (*kPasses[])(Graph&) = {activation_into_linear, add_into_producer};

}  // namespace

void fuse(Graph& graph) {
  for (const auto pass : kPasses) pass(graph);
}

}  // namespace flywheel::graph
