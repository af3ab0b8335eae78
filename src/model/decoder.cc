#include "model/decoder.h"

#include "graph/ops/add.h"
#include "graph/ops/norm.h"
#include "model/ends.h"
#include "model/feed_forward.h"
#include "model/mixers.h"
#include "recipe/mixers.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

ValueId normalise(Builder& b, const std::string& name, ValueId x) {
  const bool layer_norm = b.recipe.model.norm == NormKind::kLayerNorm;
  const ValueId gain = b.vector(name + ".gain", b.size.width, 1);
  const ValueId bias = layer_norm ? b.vector(name + ".bias", b.size.width, 0) : kNoValue;
  return graph::norm(b.graph, layer_norm, x, gain, bias, b.compute_dtype);
}

ValueId decoder(Builder& b) {
  ValueId x = embed(b);
  const std::vector<Mixer> mixers = layer_mixers(b.recipe, b.size.layers);
  for (int layer = 0; layer < b.size.layers; ++layer) {
    const std::string mixer = fmt::format("blocks.{}.attention", layer);
    const ValueId h = normalise(b, mixer + ".norm", x);
    x = graph::add(b.graph, x, mix(b, mixers[static_cast<size_t>(layer)], {.name = mixer, .layer = layer, .h = h}));
    const std::string feed = fmt::format("blocks.{}.feed_forward", layer);
    x = graph::add(b.graph, x, feed_forward(b, feed, normalise(b, feed + ".norm", x)));
  }
  return normalise(b, "norm", x);
}

}  // namespace flywheel::model
