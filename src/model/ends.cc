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

float logit_scale(const Recipe& recipe, const Size& size) {
  if (recipe.initialisation.transfer == Transfer::kStandard) return 1;
  return static_cast<float>(recipe.initialisation.base_width) / static_cast<float>(size.width);
}

}  // namespace flywheel::model
