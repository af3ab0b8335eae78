// Everything the vocabulary has with everything else, two at a time and at odd sizes: a pair is refused naming fields,
// or its loss is finite, its gradient is the loss's slope, and its recurrent form gives the parallel form's numbers.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "recipe/fields.h"
#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;
using Patches = std::vector<std::string>;

// One choice each, with what it needs to be read.
const std::vector<Patches>& choices() {
  static const std::vector<Patches> list = {
      {"model.mixers=window", "model.window=3"},
      {"model.mixers=window,attention", "model.window=2"},
      {"model.mixers=latent", "model.latent_dim=5"},
      {"model.mixers=gated_linear"},
      {"model.mixers=mamba2"},
      {"model.mixers=gated_delta"},
      {"model.mixers=rwkv7"},
      {"model.mixers=gated_delta,attention"},
      {"model.mixers=rwkv7,latent", "model.state_dim=5"},
      {"model.mixers=mamba2,window", "model.state_dim=9"},
      {"model.positions=alibi"},
      {"model.positions=none"},
      {"model.positions=learned"},
      {"model.rope_base=100"},
      {"model.rope_fraction=0.34"},
      {"model.head_dim=3"},
      {"model.head_dim=16"},
      {"model.kv_group=2"},
      {"model.kv_group=4"},
      {"model.qk_norm=false"},
      {"model.attention_softcap=2"},
      {"model.attention_sink=true"},
      {"model.attention_gate=true"},
      {"model.value_residual=true"},
      {"model.short_convolution=3"},
      {"model.feed_forward=gelu"},
      {"model.feed_forward=geglu"},
      {"model.feed_forward=relu_squared"},
      {"model.experts=3"},
      {"model.experts=4", "model.experts_active=1", "model.expert_balance=none"},
      {"model.experts=3", "model.experts_shared=1"},
      {"model.experts=3", "model.expert_balance=loss"},
      {"model.norm=layernorm"},
      {"model.norm=dynamic_tanh"},
      {"model.norm_placement=post"},
      {"model.norm_placement=sandwich"},
      {"model.residual_scaling=depth"},
      {"model.residual_scaling=learned"},
      {"model.skips=unet"},
      {"model.residual_streams=3"},
      {"model.tied_head=true"},
      {"model.ngram_embeddings=3", "model.ngram_rows=16"},
      {"model.logit_softcap=3"},
      {"model.z_loss=0.01"},
      {"model.predicted_tokens=3"},
      {"initialisation.transfer=standard"},
      {"initialisation.transfer=completep"},
  };
  return list;
}

std::string field_of(const std::string& patch) {
  return patch.substr(0, patch.find('='));
}

// Two values of one field are no pair.
bool exclude_each_other(const Patches& one, const Patches& other) {
  for (const std::string& a : one)
    for (const std::string& b : other)
      if (field_of(a) == field_of(b)) return true;
  return false;
}

void expect_names_fields(const std::string& refusal, const Patches& patches) {
  int named = 0;
  for (const recipe::RecipeField& field : recipe::recipe_fields())
    named += refusal.find(field.full_name()) != std::string::npos;
  EXPECT_GE(named, 2) << refusal;
  bool ours = false;
  for (const std::string& patch : patches) ours = ours || refusal.find(field_of(patch)) != std::string::npos;
  EXPECT_TRUE(ours) << refusal;
}

template <typename T>
T drawn(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(values.size())];
}

// One head, one layer and one token among them, and the smallest vocabulary; a large one now and then: it is slow.
recipe::Size drawn_size(const recipe::Recipe& recipe, Rng& rng) {
  recipe::Size size;
  size.kv_heads = drawn(rng, {1, 1, 2});
  size.heads = size.kv_heads * recipe.model.kv_group;
  size.width = size.heads * recipe.model.head_dim;
  size.layers = drawn(rng, {1, 2, 3});
  size.feed_forward = 20;
  size.context = drawn(rng, {1, 7, 7, 33});
  size.vocabulary = rng.below(40) == 0 ? 50000 : drawn(rng, {2, 19, 257});
  return size;
}

double slope_along(const Program& program, const std::vector<float>& parameters, const std::vector<double>& direction,
                   std::span<const uint16_t> tokens, double step) {
  const auto moved = [&](double by) {
    std::vector<float> at = parameters;
    for (size_t i = 0; i < at.size(); ++i) at[i] += static_cast<float>(by * direction[i]);
    return testing::loss_only(program, at, tokens);
  };
  const auto slope = [&](double by) { return (moved(by) - moved(-by)) / (2 * by); };
  return (4 * slope(step / 2) - slope(step)) / 3;  // Richardson: the cubic term cancels
}

// Half of the gradient, chosen by chance, and a random direction of as much weight: the first for the size of what is
// there, the second for what is missing.
void check_gradient(const SmallModel& m, const Program& program, const std::vector<float>& parameters,
                    std::span<const uint16_t> tokens, Rng& rng) {
  const auto exact = testing::loss_and_gradient(program, parameters, tokens);
  ASSERT_TRUE(std::isfinite(exact.loss));
  std::vector<double> direction(parameters.size(), 0.0), random = direction;
  double squares = 0, length = 0, random_length = 0;
  for (const ParameterInfo& p : program.parameters()) {
    for (int64_t e = 0; e < p.shape.elements(); ++e) {
      const auto i = static_cast<size_t>(p.offset + e);
      ASSERT_TRUE(std::isfinite(exact.gradient[i])) << p.name;
      if (p.group == ParameterGroup::kBalance) continue;  // it changes choices, of which there is no derivative
      squares += double{exact.gradient[i]} * exact.gradient[i];
      if (rng.below(2) == 0) direction[i] = exact.gradient[i];
      random[i] = rng.normal();
      length += direction[i] * direction[i];
      random_length += random[i] * random[i];
    }
  }
  if (!testing::trains_on_its_loss(m.recipe)) return;
  EXPECT_NEAR(exact.loss, testing::loss_only(program, parameters, tokens), 1e-4 * (1 + exact.loss));
  double expected = 0;
  for (size_t i = 0; i < direction.size(); ++i) {
    direction[i] = (length > 0 ? direction[i] / std::sqrt(length) : 0) + random[i] / std::sqrt(random_length);
    expected += direction[i] * exact.gradient[i];
  }
  // As in gradient_test.cc. Narrow layers bend fast where their values nearly cancel: the loss moves by less than 0.05.
  // A step over a router's choice, or over such a place, has no slope, so it may be a smaller one.
  const double size = std::sqrt(squares), tolerance = 3e-3 * (1 + size);
  double step = std::min(1e-2, 0.05 / (1 + size));
  double found = slope_along(program, parameters, direction, tokens, step);
  for (int tries = 0; tries < 2 && std::abs(found - expected) > tolerance; ++tries)
    found = slope_along(program, parameters, direction, tokens, step /= 5);
  EXPECT_NEAR(found, expected, tolerance);
}

// Parameters at which float32 differences can show a slope: where a norm's input nearly vanishes they cannot.
std::vector<float> drawn_parameters(const Program& program, std::span<const uint16_t> tokens, Rng& rng) {
  constexpr double kSteepest = 300;
  std::vector<float> parameters;
  for (int tries = 0; tries < 20; ++tries) {
    parameters = testing::random_parameters(program, rng.below(1000));
    double squares = 0;
    for (const float g : testing::loss_and_gradient(program, parameters, tokens).gradient) squares += double{g} * g;
    if (squares < kSteepest * kSteepest) break;
  }
  return parameters;
}

void check_generation(const SmallModel& m, const Program& program, const std::vector<float>& parameters,
                      std::span<const uint16_t> tokens) {
  PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  Executor executor(program, packed, parameters.data(), false);
  Generation generation(program, packed, parameters.data());
  double sum = 0;
  for (int t = 0; t < m.size.context; ++t) {
    const std::span<const float> logits = generation.next(tokens[static_cast<size_t>(t)]);
    double largest = -HUGE_VAL, total = 0;
    for (const float logit : logits) largest = std::max(largest, double{logit});
    for (const float logit : logits) total += std::exp(logit - largest);
    sum += std::log(total) + largest - logits[tokens[static_cast<size_t>(t) + 1]];
  }
  EXPECT_NEAR(executor.eval_sequence(tokens), sum, 1e-5 * (1 + sum));
}

enum class Outcome { kRefused, kChecked };

Outcome check_pair(const Patches& patches, Rng& rng) {
  SmallModel m;
  m.patches = fmt::format("{}", fmt::join(patches, " "));
  try {
    Patches all = {"model.ngram_embeddings=0"};
    bool wide = false;
    for (const std::string& patch : patches) wide = wide || field_of(patch) == "model.head_dim";
    if (!wide) all.emplace_back("model.head_dim=6");
    for (const std::string& patch : patches) all.push_back(patch);
    m.recipe = recipe::apply_patches(recipe::Recipe(), all);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    expect_names_fields(e.what(), patches);
    return Outcome::kRefused;
  }
  if (recipe::is_active(m.recipe, "initialisation.base_width")) m.recipe.initialisation.base_width = 16;
  m.size = drawn_size(m.recipe, rng);
  m.size.context = std::max(m.size.context, m.recipe.model.predicted_tokens);
  SCOPED_TRACE(fmt::format("{}, {} layers {} heads {} context {} vocabulary {}", m.patches, m.size.layers, m.size.heads,
                           m.size.width, m.size.context, m.size.vocabulary));
  const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
  const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, rng.below(1000));
  const std::vector<float> parameters = drawn_parameters(program, tokens, rng);
  check_gradient(m, program, parameters, tokens, rng);
  check_generation(m, program, parameters, tokens);
  return Outcome::kChecked;
}

TEST(Pairs, AreRefusedNamingFieldsOrWork) {
  constexpr uint64_t kSeed = 1;
  int refused = 0, checked = 0;
  uint64_t stream = 0;
  for (size_t i = 0; i < choices().size(); ++i) {
    for (size_t j = i; j < choices().size(); ++j) {
      Patches patches = choices()[i];
      if (j != i && exclude_each_other(patches, choices()[j])) continue;
      if (j != i) patches.insert(patches.end(), choices()[j].begin(), choices()[j].end());
      SCOPED_TRACE(fmt::format("seed {} stream {}: {}", kSeed, stream, fmt::join(patches, " ")));
      Rng rng(kSeed, stream++);
      (check_pair(patches, rng) == Outcome::kRefused ? refused : checked)++;
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_GT(checked, 800);
}

}  // namespace
}  // namespace flywheel::model
