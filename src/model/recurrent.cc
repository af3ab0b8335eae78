#include "model/recurrent.h"

#include "recipe/recurrent.h"

namespace flywheel::model {

graph::RecurrenceAttributes recurrence_attributes(const Builder& b) {
  return {.heads = b.size.heads, .key_dim = key_width(b.recipe), .value_dim = b.recipe.model.head_dim};
}

graph::ValueId recur(Builder& b, const std::string& name, const graph::RecurrenceOperands& operands,
                     const graph::RecurrenceAttributes& a) {
  if (!b.recurrent()) return graph::recurrence(b.graph, operands, a);
  const Shape shape{a.heads, a.key_dim, a.value_dim};
  return graph::recurrence_step(b.graph, operands, b.graph.state(name + ".state", shape, Dtype::kFloat32), a);
}

}  // namespace flywheel::model
