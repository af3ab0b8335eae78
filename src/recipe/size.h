// Sizes of a recipe: width, depth, batch, steps and learning rates, and the exact counts that follow from them.
#pragma once

#include <cstdint>
#include <vector>

#include "recipe/recipe.h"

namespace flywheel::recipe {

// One model and one training length. Everything the engine needs beside the recipe.
struct Size {
  int vocabulary = 257;  // bytes and end of document
  int layers = 0, width = 0, heads = 0, kv_heads = 0, feed_forward = 0, context = 0;
  int batch_sequences = 0;  // sequences per step
  int64_t steps = 0;
  // Peak learning rates after the width rule, per group of parameters.
  double matrix_learning_rate = 0, embedding_learning_rate = 0, head_learning_rate = 0, vector_learning_rate = 0;
  // A batch ramp: the batch grows from ramp_sequences to batch_sequences over the first ramp_steps; 0: none.
  int64_t ramp_steps = 0;
  int ramp_sequences = 0;
  // A branched run (recipe/phases.h): steps and sequences that its trunk has trained; 0: none.
  int64_t trunk_steps = 0, trunk_sequences = 0;

  // Of the model's whole history, the trunk's included. REQUIRES step from trunk_steps to steps.
  int64_t sequences_before(int64_t step) const;
  int sequences_at(int64_t step) const { return static_cast<int>(sequences_before(step + 1) - sequences_before(step)); }
  int64_t tokens() const { return sequences_before(steps) * context; }
  int64_t new_tokens() const { return tokens() - trunk_sequences * context; }  // that this run itself trains on
};

Json to_json(const Size& size);
Size size_from_json(const Json& json, const std::string& where);
// That the two fit: the width has its heads, kv_heads follow kv_group. Throws kBadInput naming the field.
void validate(const Recipe& recipe, const Size& size, const std::string& where);

// Counts. The FLOP convention, used in every report: a matrix product of (m, k) by (k, n) is 2mkn; the backward pass
// costs twice the forward; causal attention counts the half of the scores that is needed, T² / 2 of them, and a window
// W its band, T W - W² / 2; a recurrence counts what its recurrent form does, whatever the chunked form does more: per
// token and head 4 K V for k vᵀ and qᵀ S, 8 K V with a delta rule; a convolution 2 per tap and channel; output head
// included; norms, activations, embeddings look-ups and the optimizer are not counted. So training FLOPs per token are
// 6 * active_matrix_parameters + 6 * layers * context * attention_width for attention (Kaplan et al. 2020 with the
// head, PaLM appendix B halved).
struct Counts {
  int64_t parameters = 0;  // everything that is trained
  // Weights in matrix products, head included (tied or not), look-up tables excluded: the N of laws.
  int64_t matrix_parameters = 0;
  int64_t active_matrix_parameters = 0;  // of them, those that each token passes: all of them without experts
  double flops_per_token = 0;            // training: forward and backward, and heads that only training has
  double forward_flops_per_token = 0;
};
Counts count(const Recipe& recipe, const Size& size);
bool is_gated(FeedForward kind);  // two matrices in, one out
// Hidden units of one expert: those of the dense block over the experts that a token passes, a multiple of 8.
int expert_width(const Recipe& recipe, const Size& size);
double training_flops(const Recipe& recipe, const Size& size);      // of the model's whole history
double new_training_flops(const Recipe& recipe, const Size& size);  // of them, what this run itself spends

// The model of the family (recipe's aspect and head_dim) whose active_matrix_parameters come nearest to `parameters`.
Size nearest_size(const Recipe& recipe, double parameters);
// All distinct model sizes of the family with active_matrix_parameters in [low, high], smallest first, steps unset.
std::vector<Size> family(const Recipe& recipe, double low, double high);
// Batch, steps and learning rates for `flops` of training with this model; steps round to the nearest, at least 1.
Size with_flops(const Recipe& recipe, Size model, double flops);
// Those of the recipe for a model of this width and depth.
void set_learning_rates(const Recipe& recipe, Size& model);
// Of the learning rate of matrices in blocks, over that at base_width. muP: AdamW's, Lion's and SOAP's updates of
// hidden matrices shrink with the fan-in; Muon's are orthogonalised and scaled by the shape.
double matrix_rate_factor(const Recipe& recipe, int width);
// Width and depth at the recipe's tokens per parameter (or the one given when > 0).
Size size_for_flops(const Recipe& recipe, double flops, double tokens_per_parameter = 0);

}  // namespace flywheel::recipe
