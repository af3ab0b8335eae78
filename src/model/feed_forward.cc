#include "model/feed_forward.h"

#include "graph/ops/activation.h"
#include "graph/ops/gated.h"
#include "graph/ops/linear.h"
#include "recipe/size.h"

namespace flywheel::model {
namespace {

using graph::ValueId;
using kernels::Activation;

Activation activation_of(FeedForward kind) {
  switch (kind) {
    case FeedForward::kGelu:
    case FeedForward::kGeglu:
      return Activation::kGelu;
    case FeedForward::kSwiglu:
      return Activation::kSilu;
    case FeedForward::kReluSquared:
      break;
  }
  return Activation::kReluSquared;
}

// Two matrices, or three with a gate: h (T, C) in compute_dtype gives (T, C) float32.
ValueId dense(Builder& b, const std::string& name, ValueId h, int64_t hidden) {
  const int64_t width = b.size.width;
  const FeedForward kind = b.recipe.model.feed_forward;
  const Activation activation = activation_of(kind);
  ValueId y = graph::kNoValue;
  if (is_gated(kind)) {
    const ValueId gate_up = b.matrix(name + ".gate_up", 2 * hidden, width);
    y = graph::gated(b.graph, activation, graph::linear(b.graph, h, gate_up, b.compute_dtype));
  } else {
    const ValueId up = b.matrix(name + ".up", hidden, width);
    y = graph::activation(b.graph, activation, graph::linear(b.graph, h, up, b.compute_dtype));
  }
  return graph::linear(b.graph, y, b.matrix(name + ".down", width, hidden, true), Dtype::kFloat32);
}

}  // namespace

ValueId feed_forward(Builder& b, const std::string& name, ValueId h) {
  return dense(b, name, h, b.size.feed_forward);
}

}  // namespace flywheel::model
