// Sizes of a recipe: width, depth, batch, steps and learning rates, and the exact counts that follow from them.
#pragma once

#include <cstdint>
#include <vector>

#include "recipe/recipe.h"

namespace flywheel {

// One model and one training length. Everything the engine needs beside the recipe.
struct Size {
  int vocabulary = 257;  // bytes and end of document
  int layers = 0, width = 0, heads = 0, kv_heads = 0, feed_forward = 0, context = 0;
  int batch_sequences = 0;  // sequences per step
  int64_t steps = 0;
  // Peak learning rates after the width rule, per group of parameters.
  double matrix_learning_rate = 0, embedding_learning_rate = 0, head_learning_rate = 0, vector_learning_rate = 0;
  int64_t tokens() const { return steps * batch_sequences * context; }
};

Json to_json(const Size& size);
Size size_from_json(const Json& json, const std::string& where);
// That the two fit: heads * head_dim is the width, kv_heads follow kv_group. Throws kBadInput naming the field.
void validate(const Recipe& recipe, const Size& size, const std::string& where);

// Counts. The FLOP convention, used in every report: a matrix product of (m, k) by (k, n) is 2mkn; the backward pass
// costs twice the forward; causal attention counts the half of the scores that is needed, T² / 2 of them, and a window
// W its band, T W - W² / 2; output head included; norms, activations, embeddings look-ups and the optimizer are not
// counted. So training FLOPs per token are
// 6 * active_matrix_parameters + 6 * layers * context * attention_width for attention (Kaplan et al. 2020 with the
// head, PaLM appendix B halved).
struct Counts {
  int64_t parameters = 0;  // everything that is trained
  int64_t matrix_parameters =
      0;  // weights in matrix products, head included (tied or not), look-up tables excluded: the N of laws
  int64_t active_matrix_parameters = 0;  // of them, those that each token passes: all of them without experts
  double flops_per_token = 0;            // training: forward and backward, and heads that only training has
  double forward_flops_per_token = 0;
};
Counts count(const Recipe& recipe, const Size& size);
bool is_gated(FeedForward kind);  // two matrices in, one out
// Hidden units of one expert: those of the dense block over the experts that a token passes, a multiple of 8.
int expert_width(const Recipe& recipe, const Size& size);
double training_flops(const Recipe& recipe, const Size& size);  // of the whole run

// The model of the family (recipe's aspect and head_dim) whose active_matrix_parameters come nearest to `parameters`.
Size nearest_size(const Recipe& recipe, double parameters);
// All distinct model sizes of the family with active_matrix_parameters in [low, high], smallest first, steps unset.
std::vector<Size> family(const Recipe& recipe, double low, double high);
// Batch, steps and learning rates for `flops` of training with this model; steps round to the nearest, at least 1.
Size with_flops(const Recipe& recipe, Size model, double flops);
// Width and depth at the recipe's tokens per parameter (or the one given when > 0).
Size size_for_flops(const Recipe& recipe, double flops, double tokens_per_parameter = 0);

}  // namespace flywheel
