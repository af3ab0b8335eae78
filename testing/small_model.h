// Small models for tests: every combination of the recipe's vocabulary, seeded parameters and tokens, losses and
// gradients.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/model/model.h"
#include "recipe/active.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::testing {

struct SmallModel {
  recipe::Recipe recipe;
  recipe::Size size;
  std::string patches = "";  // what was changed, for messages
};

// Two layers, width 24 unless the recipe's head_dim says otherwise; sizes that are no multiple of a SIMD register.
inline SmallModel small_model(recipe::Positions positions, recipe::NormKind norm, recipe::FeedForward feed_forward,
                              int kv_group, bool qk_norm, bool tied, recipe::Transfer transfer) {
  SmallModel m;
  m.recipe.model.ngram_embeddings = 0;
  m.recipe.model.positions = positions;
  m.recipe.model.norm = norm;
  m.recipe.model.feed_forward = feed_forward;
  m.recipe.model.kv_group = kv_group;
  m.recipe.model.qk_norm = qk_norm;
  m.recipe.model.tied_head = tied;
  m.recipe.model.head_dim = 6;
  m.recipe.initialisation.transfer = transfer;
  if (transfer != recipe::Transfer::kStandard) m.recipe.initialisation.base_width = 16;
  m.size = {.vocabulary = 19,
            .layers = 2,
            .width = 24,
            .heads = 4,
            .kv_heads = 4 / kv_group,
            .feed_forward = 20,
            .context = 11};
  m.recipe.model.context = m.size.context;
  return m;
}

inline std::vector<SmallModel> all_small_models() {
  std::vector<SmallModel> models;
  for (recipe::Positions positions : {recipe::Positions::kLearned, recipe::Positions::kRope})
    for (recipe::NormKind norm : {recipe::NormKind::kLayerNorm, recipe::NormKind::kRmsNorm})
      for (recipe::FeedForward feed_forward :
           {recipe::FeedForward::kGelu, recipe::FeedForward::kSwiglu, recipe::FeedForward::kReluSquared})
        for (int kv_group : {1, 2})
          for (bool qk_norm : {false, true})
            for (bool tied : {false, true})
              for (recipe::Transfer transfer :
                   {recipe::Transfer::kStandard, recipe::Transfer::kMup, recipe::Transfer::kCompletep})
                models.push_back(small_model(positions, norm, feed_forward, kv_group, qk_norm, tied, transfer));
  return models;
}

// The rest of the vocabulary, as patches of one recipe: each row is a model that the tests of gradients, forms,
// precisions, fusion, counts and allocation go through. Rows combine parts on purpose.
inline std::vector<std::vector<std::string>> vocabulary() {
  return {
      {"model.positions=learned", "model.norm=layernorm", "model.feed_forward=gelu", "model.tied_head=true"},
      // Feed-forward, residual stream, ends.
      {"model.feed_forward=geglu", "model.norm=dynamic_tanh", "model.logit_softcap=3"},
      {"model.norm_placement=post", "model.residual_scaling=learned", "model.norm=layernorm"},
      {"model.norm_placement=sandwich", "model.residual_scaling=depth", "model.logit_softcap=8",
       "model.tied_head=true"},
      {"model.skips=unet", "model.norm_placement=post", "model.norm=dynamic_tanh"},
      {"model.residual_streams=3", "model.skips=unet", "model.residual_scaling=learned",
       "model.norm_placement=sandwich"},
      {"model.residual_streams=2", "model.feed_forward=geglu"},
      {"model.ngram_embeddings=3", "model.ngram_rows=16", "model.positions=learned"},
      {"model.experts=4", "model.feed_forward=geglu"},
      {"model.experts=3", "model.experts_active=3", "model.feed_forward=gelu", "model.expert_balance=none"},
      {"model.experts=5", "model.experts_active=1", "model.experts_shared=1", "model.feed_forward=relu_squared"},
      {"model.experts=4", "model.expert_balance=loss", "model.expert_balance_rate=0.01", "model.residual_streams=2"},
      {"model.z_loss=0.01", "model.logit_softcap=5", "model.ngram_embeddings=2", "model.ngram_rows=32"},
      {"model.predicted_tokens=3", "model.norm=layernorm", "model.tied_head=true", "model.skips=unet"},
      // Attention.
      {"model.positions=alibi", "model.kv_group=2", "model.attention_softcap=5", "model.qk_norm=true"},
      {"model.positions=none", "model.kv_group=4", "model.attention_sink=true"},
      {"model.rope_fraction=0.67", "model.rope_base=100", "model.qk_norm=true", "model.attention_gate=true"},
      {"model.mixers=window,attention", "model.window=3", "model.value_residual=true", "model.kv_group=2"},
      {"model.mixers=window,window,attention", "model.window=4", "model.positions=alibi", "model.attention_sink=true",
       "model.attention_softcap=1.5", "model.attention_gate=true", "model.value_residual=true",
       "initialisation.transfer=mup"},
      {"model.mixers=window", "model.window=1"},
      {"model.mixers=latent", "model.latent_dim=10", "model.qk_norm=true"},
      {"model.mixers=latent,window,attention", "model.rope_fraction=0.34", "model.window=5", "model.kv_group=2",
       "model.attention_sink=true"},
      {"model.mixers=latent", "model.positions=alibi", "model.attention_softcap=3", "model.attention_gate=true",
       "model.attention_sink=true", "model.tied_head=true"},
      // Beyond attention.
      {"model.mixers=gated_linear", "model.positions=learned"},
      {"model.mixers=gated_linear,attention", "model.state_dim=4", "model.qk_norm=true", "initialisation.transfer=mup"},
      {"model.mixers=mamba2", "model.norm=layernorm", "model.feed_forward=gelu"},
      {"model.mixers=mamba2,attention", "model.state_dim=20", "model.short_convolution=4", "model.tied_head=true"},
      {"model.mixers=gated_delta", "model.positions=learned", "model.state_dim=8"},
      {"model.mixers=gated_delta,gated_delta,attention", "model.short_convolution=3", "model.kv_group=2",
       "initialisation.transfer=mup"},
      {"model.mixers=gated_linear,mamba2,gated_delta", "model.short_convolution=2", "model.qk_norm=true"},
      {"model.short_convolution=12", "model.qk_norm=true"},
      {"model.mixers=rwkv7", "model.norm=layernorm", "model.tied_head=true"},
      {"model.mixers=rwkv7,attention,gated_linear", "model.state_dim=9", "model.qk_norm=true",
       "initialisation.transfer=mup"},
  };
}

// False where the training gradient is of more than the loss that is reported: z-loss, balance loss, further heads.
// Then only traces of another implementation know it (model/golden_test.cc).
inline bool trains_on_its_loss(const recipe::Recipe& recipe) {
  const recipe::Recipe::Model& m = recipe.model;
  return m.z_loss == 0 && m.predicted_tokens == 1 &&
         (m.experts == 0 || m.expert_balance != recipe::ExpertBalance::kLoss);
}

// small_model of the plain kind, with patches such as "model.window=5".
inline SmallModel patched_model(const std::vector<std::string>& patches) {
  SmallModel m = small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm, recipe::FeedForward::kSwiglu, 1,
                             true, false, recipe::Transfer::kStandard);
  m.recipe = recipe::apply_patches(m.recipe, patches);
  const bool normalised = std::find(patches.begin(), patches.end(), "model.qk_norm=true") != patches.end();
  if (recipe::is_active(m.recipe, "model.qk_norm")) m.recipe.model.qk_norm = normalised;
  if (recipe::is_active(m.recipe, "initialisation.base_width")) m.recipe.initialisation.base_width = 16;
  m.patches = fmt::format("{}", fmt::join(patches, " "));
  m.size.layers = 3;
  m.size.kv_heads = m.size.heads / m.recipe.model.kv_group;
  return m;
}

inline std::vector<SmallModel> vocabulary_models() {
  std::vector<SmallModel> models;
  for (const auto& patches : vocabulary()) models.push_back(patched_model(patches));
  return models;
}

inline std::vector<SmallModel> every_model() {
  std::vector<SmallModel> models = all_small_models();
  for (SmallModel& m : vocabulary_models()) models.push_back(std::move(m));
  return models;
}

inline std::string describe(const SmallModel& m) {
  if (!m.patches.empty()) return m.patches;
  const recipe::Recipe::Model& r = m.recipe.model;
  return fmt::format("positions {} norm {} feed_forward {} kv_group {} qk_norm {} tied {} transfer {}",
                     static_cast<int>(r.positions), static_cast<int>(r.norm), static_cast<int>(r.feed_forward),
                     r.kv_group, r.qk_norm, r.tied_head, static_cast<int>(m.recipe.initialisation.transfer));
}

// Every parameter drawn: matrices large enough that every op bends the loss, vectors around their initial value.
inline std::vector<float> random_parameters(const model::Program& program, uint64_t seed, double sd = 0.3) {
  std::vector<float> flat(static_cast<size_t>(program.parameter_elements()), 0.0f);
  uint64_t stream = 0;
  for (const model::ParameterInfo& p : program.parameters()) {
    Rng rng(seed, stream++);
    for (int64_t i = 0; i < p.shape.elements(); ++i) {
      flat[static_cast<size_t>(p.offset + i)] = static_cast<float>(p.initial_value + sd * rng.normal());
    }
  }
  return flat;
}

// Cross entropy of one token, in nats.
inline double token_loss(std::span<const float> logits, uint16_t target) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit});
  return std::log(sum) - double{logits[target]};
}

inline std::vector<uint16_t> random_tokens(int64_t count, int vocabulary, uint64_t seed) {
  Rng rng(seed, 77);
  std::vector<uint16_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<uint16_t>(rng.below(static_cast<uint64_t>(vocabulary))));
  return tokens;
}

struct LossAndGradient {
  double loss = 0;
  std::vector<float> gradient;
};

inline LossAndGradient loss_and_gradient(const model::Program& program, const std::vector<float>& parameters,
                                         std::span<const uint16_t> tokens, float loss_scale = 1) {
  model::PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  model::Executor executor(program, packed, parameters.data(), true);
  LossAndGradient result{0, std::vector<float>(parameters.size(), 0.0f)};
  result.loss = executor.train_sequence(tokens, loss_scale, result.gradient.data());
  return result;
}

inline double loss_only(const model::Program& program, const std::vector<float>& parameters,
                        std::span<const uint16_t> tokens) {
  model::PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  model::Executor executor(program, packed, parameters.data(), false);
  return executor.eval_sequence(tokens);
}

// |a - b| / |b| over whole vectors.
inline double relative_distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace flywheel::testing
