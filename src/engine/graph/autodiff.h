// Reverse-mode differentiation by graph transformation: appends the nodes that compute the gradients of a graph.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"

namespace flywheel::graph {

// What a vjp sees. Gradients of a value with several users are summed with add nodes (fusion folds most of them).
class Backward {
 public:
  explicit Backward(Graph& graph_to_extend) : graph(graph_to_extend) {}
  Graph& graph;

  // The gradient accumulated so far; kNoValue when there is none.
  ValueId gradient(ValueId value) const;
  // False: a vjp may skip this input (no parameter lies above it).
  bool wanted(ValueId value) const;
  // Adds a gradient of the value's shape.
  void add_gradient(ValueId value, ValueId gradient);
  // The accumulating gradient of a parameter, or of the parameter that a packed value was made of.
  ValueId parameter_gradient(ValueId parameter_or_packed);

 private:
  friend std::vector<ValueId> differentiate(Graph&, std::span<const std::pair<ValueId, ValueId>>,
                                            std::span<const ValueId>);
  std::vector<ValueId> gradients_;
  std::vector<char> wanted_;
};

// Appends the backward pass. `seeds` are (value, its given gradient) pairs; values whose nodes carry their own gradient
// (the training head) need none. Parameters' gradients are added to the flat buffer; returned are the gradients of
// `with_respect_to`, leaves that are no parameters (kNoValue where nothing flows).
std::vector<ValueId> differentiate(Graph& graph, std::span<const std::pair<ValueId, ValueId>> seeds,
                                   std::span<const ValueId> with_respect_to = {});

}  // namespace flywheel::graph
