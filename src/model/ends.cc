#include "model/ends.h"

#include "graph/ops/embedding.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

ValueId embed(Builder& b) {
  const ValueId table = b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  const bool learned = b.recipe.model.positions == Positions::kLearned;
  const ValueId positions = learned ? b.table("embedding.positions", b.size.context, b.size.width) : kNoValue;
  return graph::embedding(b.graph, b.tokens, table, positions, b.position);
}

ValueId head_weight(Builder& b) {
  if (b.recipe.model.tied_head) return b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  return b.head("head", b.size.vocabulary, b.size.width);
}

graph::HeadAttributes head_attributes(const Recipe& recipe, const Size& size) {
  graph::HeadAttributes attributes;
  const bool standard = recipe.initialisation.transfer == Transfer::kStandard;
  attributes.options = {
      .logit_scale =
          standard ? 1 : static_cast<float>(recipe.initialisation.base_width) / static_cast<float>(size.width),
      .softcap = static_cast<float>(recipe.model.logit_softcap),
      .z_loss = static_cast<float>(recipe.model.z_loss)};
  return attributes;
}

}  // namespace flywheel::model
