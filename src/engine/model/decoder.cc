#include "engine/model/decoder.h"

#include <fmt/format.h>

#include "engine/model/ends.h"
#include "engine/model/feed_forward.h"
#include "engine/model/mixers.h"
#include "engine/model/residual.h"
#include "recipe/mixers.h"

namespace flywheel::model {

using graph::ValueId;

ValueId decoder(Builder& b) {
  ResidualStream stream(b, embed(b));
  const std::vector<recipe::Mixer> mixers = recipe::layer_mixers(b.recipe, b.size.layers);
  for (int layer = 0; layer < b.size.layers; ++layer) {
    stream.enter(layer);
    const std::string mixer = fmt::format("blocks.{}.attention", layer);
    const ValueId h = stream.read(mixer);
    stream.write(mixer, mix(b, mixers[static_cast<size_t>(layer)], {.name = mixer, .layer = layer, .h = h}));
    const std::string feed = fmt::format("blocks.{}.feed_forward", layer);
    const ValueId f = stream.read(feed);
    stream.write(feed, feed_forward(b, feed, f));
  }
  return stream.end();
}

ValueId final_norm(Builder& b, ValueId stream) {
  return normalise(b, "norm", stream, b.compute_dtype);
}

}  // namespace flywheel::model
