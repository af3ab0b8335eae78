// Parameters and FLOPs of a model, summed over its parts: embedding, mixers, feed-forward, residual stream, head.
#include <algorithm>

#include "recipe/mixers.h"
#include "recipe/recurrent.h"
#include "recipe/size.h"

namespace flywheel::recipe {
namespace {

PartCounts feed_forward_counts(const Recipe& recipe, const Size& size) {
  const Recipe::Model& m = recipe.model;
  const int64_t matrices_of_unit = (is_gated(m.feed_forward) ? 3 : 2) * int64_t{size.width};
  PartCounts counts;
  if (m.experts == 0) {
    counts.matrices = matrices_of_unit * size.feed_forward;
    return counts;
  }
  const int64_t expert = matrices_of_unit * expert_width(recipe, size), router = int64_t{m.experts} * size.width;
  counts.matrices = router + (m.experts + m.experts_shared) * expert;
  counts.idle_matrices = (m.experts - m.experts_active) * expert;
  if (m.expert_balance == ExpertBalance::kBias) counts.vectors = m.experts;
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
  if (const int longest = recipe.model.ngram_embeddings; longest > 0)
    counts.vectors += (longest - 1) * int64_t{recipe.model.ngram_rows} * size.width;
  // Heads further ahead: only training has them, so they are no part of the N of laws.
  for (int ahead = 1; ahead < recipe.model.predicted_tokens; ++ahead) {
    const int64_t own = int64_t{size.width} * size.width;
    const double share_with_targets = static_cast<double>(size.context - ahead) / size.context;
    counts.vectors += own + norm_vectors(recipe, size);
    counts.training_flops += 6.0 * (static_cast<double>(own) + static_cast<double>(head) * share_with_targets);
  }
  return counts;
}

}  // namespace

int expert_width(const Recipe& recipe, const Size& size) {
  const int together = recipe.model.experts_active + recipe.model.experts_shared;
  return std::max(1, (size.feed_forward + 4 * together) / (8 * together)) * 8;
}

bool is_gated(FeedForward kind) {
  return kind == FeedForward::kSwiglu || kind == FeedForward::kGeglu;
}

Counts count(const Recipe& recipe, const Size& size) {
  std::vector<PartCounts> parts = {residual_counts(recipe, size), end_counts(recipe, size),
                                   rwkv7_value_residual_counts(recipe, size)};
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
  for (const PartCounts& part : parts) counts.flops_per_token += part.training_flops;
  return counts;
}

double training_flops(const Recipe& recipe, const Size& size) {
  return count(recipe, size).flops_per_token * static_cast<double>(size.tokens());
}

double new_training_flops(const Recipe& recipe, const Size& size) {
  return count(recipe, size).flops_per_token * static_cast<double>(size.new_tokens());
}

}  // namespace flywheel::recipe
