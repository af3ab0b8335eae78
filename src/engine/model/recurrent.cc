#include "engine/model/recurrent.h"

#include <cmath>

#include "engine/graph/ops/short_convolution.h"
#include "recipe/recurrent.h"

namespace flywheel::model {

graph::RecurrenceAttributes recurrence_attributes(const Builder& b) {
  return {.heads = b.size.heads, .key_dim = key_width(b.recipe), .value_dim = b.recipe.model.head_dim};
}

graph::ValueId recur(Builder& b, const std::string& name, const graph::RecurrenceOperands& operands,
                     const graph::RecurrenceAttributes& a) {
  if (!b.recurrent()) return graph::recurrence(b.graph, operands, a);
  const tensor::Shape shape{a.heads, a.key_dim, a.value_dim};
  return graph::recurrence_step(b.graph, operands, b.graph.state(name + ".state", shape, tensor::Dtype::kFloat32), a);
}

graph::ValueId convolve(Builder& b, const std::string& name, graph::ValueId x) {
  const int64_t taps = b.recipe.model.short_convolution, width = b.graph.value(x).shape[1];
  if (taps == 0) return x;
  // As PyTorch starts convolutions: uniform within 1 / sqrt(fan-in).
  const double bound = 1 / std::sqrt(static_cast<double>(taps));
  const graph::ValueId weight = b.ruled(name + ".convolution", {taps, width},
                                        [bound](Rng& rng, int64_t) { return bound * (2 * rng.uniform() - 1); });
  if (!b.recurrent()) return graph::short_convolution(b.graph, x, weight);
  const graph::ValueId earlier = b.graph.state(name + ".earlier", {taps - 1, width}, b.compute_dtype);
  return graph::short_convolution_step(b.graph, x, weight, earlier);
}

}  // namespace flywheel::model
