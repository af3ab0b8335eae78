#include "model/feed_forward.h"

#include "graph/ops/activation.h"
#include "graph/ops/linear.h"
#include "graph/ops/swiglu.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

ValueId feed_forward(Builder& b, const std::string& name, ValueId h) {
  const int64_t width = b.size.width, hidden = b.size.feed_forward;
  ValueId y = kNoValue;
  if (b.recipe.model.feed_forward == FeedForward::kSwiglu) {
    y = graph::swiglu(b.graph,
                      graph::linear(b.graph, h, b.matrix(name + ".gate_up", 2 * hidden, width), b.compute_dtype));
  } else {
    const kernels::Activation kind = b.recipe.model.feed_forward == FeedForward::kGelu
                                         ? kernels::Activation::kGelu
                                         : kernels::Activation::kReluSquared;
    y = graph::activation(b.graph, kind,
                          graph::linear(b.graph, h, b.matrix(name + ".up", hidden, width), b.compute_dtype));
  }
  const ValueId down = b.matrix(name + ".down", width, hidden, true);
  return graph::linear(b.graph, y, down, Dtype::kFloat32);
}

}  // namespace flywheel::model
