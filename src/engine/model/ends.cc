#include "engine/model/ends.h"

#include <fmt/format.h>

#include "engine/graph/ops/add.h"
#include "engine/graph/ops/embedding.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/ngram_embedding.h"
#include "engine/model/decoder.h"
#include "engine/model/residual.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

ValueId embed(Builder& b) {
  const ValueId table = b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  const bool learned = b.recipe.model.positions == recipe::Positions::kLearned;
  const ValueId positions = learned ? b.table("embedding.positions", b.size.context, b.size.width) : kNoValue;
  ValueId x = graph::embedding(b.graph, b.tokens, table, positions, b.position);
  for (int n = 2; n <= b.recipe.model.ngram_embeddings; ++n) {
    const std::string name = fmt::format("embedding.ngrams.{}", n);
    const ValueId rows = b.table(name, b.recipe.model.ngram_rows, b.size.width, n);
    const ValueId history =
        b.recurrent() ? b.graph.state(name + ".history", {n - 1}, tensor::Dtype::kUint16) : kNoValue;
    x = graph::add(b.graph, x, graph::ngram_embedding(b.graph, b.tokens, rows, n, history, b.position));
  }
  return x;
}

ValueId head_weight(Builder& b) {
  if (b.recipe.model.tied_head) return b.table("embedding.tokens", b.size.vocabulary, b.size.width);
  return b.head("head", b.size.vocabulary, b.size.width);
}

graph::HeadAttributes head_attributes(const recipe::Recipe& recipe, const recipe::Size& size) {
  graph::HeadAttributes attributes;
  const bool standard = recipe.initialisation.transfer == recipe::Transfer::kStandard;
  attributes.options = {
      .logit_scale =
          standard ? 1 : static_cast<float>(recipe.initialisation.base_width) / static_cast<float>(size.width),
      .softcap = static_cast<float>(recipe.model.logit_softcap),
      .z_loss = static_cast<float>(recipe.model.z_loss)};
  return attributes;
}

void train_heads(Builder& b, ValueId stream, ValueId targets, ValueId loss) {
  const graph::HeadAttributes attributes = head_attributes(b.recipe, b.size);
  const ValueId x = final_norm(b, stream), weight = head_weight(b);
  graph::head_train(b.graph, x, weight, attributes, targets, b.loss_scale, loss);
  const int further = b.recipe.model.predicted_tokens - 1;
  for (int ahead = 1; ahead <= further; ++ahead) {
    const std::string name = fmt::format("further.{}", ahead);
    const ValueId h = normalise(b, name + ".norm", stream, b.compute_dtype);
    const ValueId out = b.matrix(name + ".out", b.size.width, b.size.width, true);
    const ValueId own = graph::add(b.graph, stream, graph::linear(b.graph, h, out, tensor::Dtype::kFloat32));
    graph::HeadAttributes of_head = attributes;
    of_head.ahead = ahead;
    of_head.share = kFurtherShare / static_cast<float>(further);
    graph::head_train(b.graph, final_norm(b, own), weight, of_head, targets, b.loss_scale, kNoValue);
  }
}

}  // namespace flywheel::model
