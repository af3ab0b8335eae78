// Parameters and FLOPs of a model, summed over its parts: embedding, mixers, feed-forward, residual stream, head.
#include "recipe/mixers.h"
#include "recipe/size.h"

namespace flywheel {
namespace {

PartCounts feed_forward_counts(const Recipe& recipe, const Size& size) {
  PartCounts counts;
  counts.matrices = (is_gated(recipe.model.feed_forward) ? 3 : 2) * int64_t{size.width} * size.feed_forward;
  return counts;
}

int64_t norm_vectors(const Recipe& recipe, const Size& size) {
  switch (recipe.model.norm) {
    case NormKind::kLayerNorm:
      return 2 * int64_t{size.width};
    case NormKind::kDynamicTanh:
      return 2 * int64_t{size.width} + 1;
    case NormKind::kRmsNorm:
      break;
  }
  return size.width;
}

// Norms and whatever else belongs to the stream and not to a block.
PartCounts residual_counts(const Recipe& recipe, const Size& size) {
  const int64_t blocks = 2 * int64_t{size.layers}, streams = recipe.model.residual_streams;
  const int64_t norms = blocks * (recipe.model.norm_placement == NormPlacement::kSandwich ? 2 : 1) + 1;
  PartCounts counts;
  counts.vectors = norms * norm_vectors(recipe, size);
  if (recipe.model.residual_scaling == ResidualScaling::kLearned) counts.vectors += blocks * size.width;
  if (recipe.model.skips == Skips::kUnet) counts.vectors += size.layers / 2;
  if (streams > 1) counts.vectors += blocks * (streams + streams * (streams + 1));
  if (recipe.model.value_residual) counts.vectors += size.layers - 1;  // a share for each layer after the first
  return counts;
}

// Tables that are looked up, and the output head.
PartCounts end_counts(const Recipe& recipe, const Size& size) {
  const int64_t head = int64_t{size.vocabulary} * size.width;
  PartCounts counts;
  counts.matrices = head;
  if (!recipe.model.tied_head) counts.vectors += head;  // the embedding table of its own
  if (recipe.model.positions == Positions::kLearned) counts.vectors += int64_t{size.context} * size.width;
  return counts;
}

}  // namespace

bool is_gated(FeedForward kind) {
  return kind == FeedForward::kSwiglu || kind == FeedForward::kGeglu;
}

Counts count(const Recipe& recipe, const Size& size) {
  std::vector<PartCounts> parts = {residual_counts(recipe, size), end_counts(recipe, size)};
  for (const Mixer mixer : layer_mixers(recipe, size.layers)) {
    parts.push_back(mixer_counts(recipe, size, mixer));
    parts.push_back(feed_forward_counts(recipe, size));
  }
  Counts counts;
  for (const PartCounts& part : parts) {
    counts.matrix_parameters += part.matrices;
    counts.active_matrix_parameters += part.matrices - part.idle_matrices;
    counts.parameters += part.matrices + part.vectors;
    counts.forward_flops_per_token += 2.0 * static_cast<double>(part.matrices - part.idle_matrices) + part.extra_flops;
  }
  counts.flops_per_token = 3.0 * counts.forward_flops_per_token;
  return counts;
}

double training_flops(const Recipe& recipe, const Size& size) {
  return count(recipe, size).flops_per_token * static_cast<double>(size.tokens());
}

double new_training_flops(const Recipe& recipe, const Size& size) {
  return count(recipe, size).flops_per_token * static_cast<double>(size.new_tokens());
}

}  // namespace flywheel
