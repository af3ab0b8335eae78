// Programs as the trainer uses them: counts, windows, sampling, precision, fusion, memory, and nothing allocated in a
// step.
#include "engine/model/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "engine/graph/profile.h"
#include "engine/model/initialisation.h"
#include "recipe/active.h"
#include "testing/allocation_counter.h"
#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;

TEST(Program, FlopsAndParametersAreExactlyThoseOfTheRecipe) {
  for (const SmallModel& m : testing::every_model()) {
    SCOPED_TRACE(describe(m));
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    const recipe::Counts counts = count(m.recipe, m.size);
    EXPECT_DOUBLE_EQ(program.train_flops(), counts.flops_per_token * m.size.context);
    EXPECT_DOUBLE_EQ(program.eval_flops(), counts.forward_flops_per_token * m.size.context);
    int64_t parameters = 0;
    for (const ParameterInfo& p : program.parameters()) parameters += p.shape.elements();
    EXPECT_EQ(parameters, counts.parameters);
  }
}

TEST(Program, FusedMatricesSayWhatTheyAreMadeOf) {
  const auto parts_of = [](const char* mixers, const std::string& name) {
    const SmallModel m = testing::patched_model({std::string("model.mixers=") + mixers});
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    for (const ParameterInfo& p : program.parameters())
      if (p.name == "blocks.0." + name) return p.parts;
    ADD_FAILURE() << name;
    return std::vector<int64_t>{};
  };
  using Parts = std::vector<int64_t>;
  EXPECT_EQ(parts_of("attention", "attention.qkv"), (Parts{24, 24, 24}));
  EXPECT_EQ(parts_of("attention", "attention.out"), Parts{});
  EXPECT_EQ(parts_of("attention", "feed_forward.gate_up"), (Parts{20, 20}));
  EXPECT_EQ(parts_of("latent", "attention.up"), (Parts{16, 24}));  // two of six are the rotary key's
  EXPECT_EQ(parts_of("gated_linear", "attention.in"), (Parts{24, 24, 24, 24, 16}));
  EXPECT_EQ(parts_of("mamba2", "attention.in"), (Parts{6, 6, 24, 24, 4}));
  EXPECT_EQ(parts_of("gated_delta", "attention.in"), (Parts{24, 24, 24, 24, 4, 4}));
  for (const SmallModel& m : testing::vocabulary_models()) {
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    for (const ParameterInfo& p : program.parameters()) {
      if (p.parts.empty()) continue;
      EXPECT_EQ(std::accumulate(p.parts.begin(), p.parts.end(), int64_t{0}), p.shape[p.shape.rank - 2]) << p.name;
    }
  }
}

TEST(Program, ParametersLieApartAndAlignedWithStableNames) {
  const SmallModel m = testing::small_model(recipe::Positions::kLearned, recipe::NormKind::kLayerNorm,
                                            recipe::FeedForward::kGelu, 1, false, false, recipe::Transfer::kStandard);
  const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
  std::vector<std::string> names;
  int64_t end = 0;
  for (const ParameterInfo& p : program.parameters()) {
    names.push_back(p.name);
    EXPECT_EQ(p.offset % 16, 0) << p.name;
    EXPECT_GE(p.offset, end) << p.name;
    end = p.offset + p.shape.elements();
  }
  EXPECT_LE(end, program.parameter_elements());
  const std::vector<std::string> expected = {"embedding.tokens",
                                             "embedding.positions",
                                             "blocks.0.attention.norm.gain",
                                             "blocks.0.attention.norm.bias",
                                             "blocks.0.attention.qkv",
                                             "blocks.0.attention.out",
                                             "blocks.0.feed_forward.norm.gain",
                                             "blocks.0.feed_forward.norm.bias",
                                             "blocks.0.feed_forward.up",
                                             "blocks.0.feed_forward.down"};
  ASSERT_EQ(names.size(), 21u);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), names.begin()));
  EXPECT_EQ(names[18], "norm.gain");
  EXPECT_EQ(names[20], "head");
}

TEST(Program, InitialisationFollowsTheTransferRule) {
  SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm, recipe::FeedForward::kGelu,
                                      1, true, false, recipe::Transfer::kStandard);
  const auto sd_of = [&](const std::string& name) {
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    for (const ParameterInfo& p : program.parameters()) {
      if (p.name == name) return p.initial_sd;
    }
    ADD_FAILURE() << name;
    return 0.0;
  };
  EXPECT_DOUBLE_EQ(sd_of("blocks.0.attention.qkv"), 0.02);
  EXPECT_DOUBLE_EQ(sd_of("blocks.1.feed_forward.down"), 0.02 / std::sqrt(4.0));
  m.recipe.initialisation.transfer = recipe::Transfer::kMup;
  m.recipe.initialisation.base_width = 16;
  EXPECT_DOUBLE_EQ(sd_of("blocks.0.attention.qkv"), 0.02 * std::sqrt(16.0 / 24));
  EXPECT_DOUBLE_EQ(sd_of("blocks.1.feed_forward.down"), 0.02 * std::sqrt(16.0 / 20) / std::sqrt(4.0));
  EXPECT_DOUBLE_EQ(sd_of("embedding.tokens"), 0.02);
  EXPECT_DOUBLE_EQ(sd_of("head"), 0);
}

TEST(Program, RecurrentMixersStartByTheirPapersRules) {
  const auto values_of = [](const char* mixer, const std::string& part) {
    const SmallModel m = testing::patched_model({std::string("model.mixers=") + mixer});
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    std::vector<double> values;
    for (const ParameterInfo& p : program.parameters()) {
      if (p.name != "blocks.1.attention." + part) continue;
      EXPECT_EQ(p.group, ParameterGroup::kVector);
      Rng rng(1);
      for (int64_t i = 0; i < p.shape.elements(); ++i) values.push_back(initial_element(p, rng, i));
    }
    EXPECT_FALSE(values.empty()) << part;
    return values;
  };
  for (const char* mixer : {"mamba2", "gated_delta"}) {
    for (const double log_rate : values_of(mixer, "log_rate")) EXPECT_TRUE(log_rate >= 0 && log_rate <= std::log(16));
    for (const double bias : values_of(mixer, "step_bias")) {
      const double step = std::log1p(std::exp(bias));
      EXPECT_TRUE(step > 0.999e-3 && step < 0.1001) << step;
    }
  }
  for (const double bias : values_of("gated_linear", "forget_bias")) EXPECT_EQ(bias, 0);
  const auto decay = values_of("rwkv7", "decay_bias"), shares = values_of("rwkv7", "shares");
  EXPECT_DOUBLE_EQ(decay.front(), -6.5);
  EXPECT_DOUBLE_EQ(decay.back(), -1.5);
  EXPECT_TRUE(std::is_sorted(decay.begin(), decay.end()));
  EXPECT_DOUBLE_EQ(shares[0], 1);
  EXPECT_DOUBLE_EQ(shares[2 * 24 + 12], 1 - std::pow(0.5, 0.7 * 2 / 3));  // keys, half of the width, layer 1 of 3
}

TEST(Program, ImpossibleSizesAreRefusedByField) {
  const SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm,
                                            recipe::FeedForward::kGelu, 1, true, false, recipe::Transfer::kStandard);
  const auto refused = [&](auto change, const std::string& field) {
    SmallModel bad = m;
    change(bad);
    try {
      const Program program(bad.recipe, bad.size, tensor::Dtype::kFloat32);
      ADD_FAILURE() << field << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(e.what()).find(field), std::string::npos) << e.what();
    }
  };
  refused([](SmallModel& b) { b.size.layers = 0; }, "layers");
  refused([](SmallModel& b) { b.size.width = -4; }, "width");
  refused([](SmallModel& b) { b.size.kv_heads = 3; }, "kv_heads");
  refused([](SmallModel& b) { b.size.vocabulary = 70000; }, "vocabulary");
  refused([](SmallModel& b) { b.recipe.model.head_dim = 5; }, "head_dim");
}

TEST(Program, SizesThatNoKernelServesFastAreNamedOnce) {
  SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm, recipe::FeedForward::kGelu,
                                      1, false, false, recipe::Transfer::kMup);
  EXPECT_EQ(Program(m.recipe, m.size, tensor::Dtype::kFloat32).slower_sizes().size(),
            9u);  // 7 products, attention, head
  m.recipe.model.head_dim = 16;
  m.size.width = m.size.feed_forward = m.size.vocabulary = 64;
  EXPECT_TRUE(Program(m.recipe, m.size, tensor::Dtype::kBfloat16).slower_sizes().empty());
}

TEST(Executor, ShortWindowsLoseWhatThePrefixOfALongOneLoses) {
  for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
    const SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm,
                                              recipe::FeedForward::kSwiglu, 2, true, false, recipe::Transfer::kMup);
    const Program program(m.recipe, m.size, dtype);
    const std::vector<float> parameters = testing::random_parameters(program, 1);
    const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
    PackedWeights packed(program);
    packed.refresh(parameters.data(), 0, 1);
    Executor executor(program, packed, parameters.data(), false);
    // bfloat16 values that round apart: over 300 seeds the forms differ by 0.021 (root mean square) on a loss near 35.
    const double tolerance = dtype == tensor::Dtype::kFloat32 ? 1e-4 : 0.08;
    double sum = 0;
    Generation generation(program, packed, parameters.data());
    for (size_t n = 1; n < tokens.size(); ++n) {
      const std::span<const float> logits = generation.next(tokens[n - 1]);
      double normaliser = 0;
      for (float logit : logits) normaliser += std::exp(double{logit});
      sum += std::log(normaliser) - logits[tokens[n]];
      EXPECT_NEAR(executor.eval_sequence(std::span(tokens).first(n + 1)), sum, tolerance) << n;
    }
    EXPECT_NEAR(testing::loss_and_gradient(program, parameters, tokens).loss, sum, tolerance);
  }
}

TEST(Executor, GradientsAccumulateAndScale) {
  const SmallModel m =
      testing::small_model(recipe::Positions::kLearned, recipe::NormKind::kLayerNorm, recipe::FeedForward::kReluSquared,
                           1, false, true, recipe::Transfer::kStandard);
  const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
  const std::vector<float> parameters = testing::random_parameters(program, 1);
  const std::vector<uint16_t> a = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
  const std::vector<uint16_t> b = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 3);
  const auto of_a = testing::loss_and_gradient(program, parameters, a),
             of_b = testing::loss_and_gradient(program, parameters, b);
  PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  Executor executor(program, packed, parameters.data(), true);
  std::vector<float> both(parameters.size(), 0.0f), sum(parameters.size());
  EXPECT_EQ(executor.train_sequence(a, 0.5f, both.data()), of_a.loss);
  EXPECT_EQ(executor.train_sequence(b, 0.5f, both.data()), of_b.loss);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = 0.5f * (of_a.gradient[i] + of_b.gradient[i]);
  EXPECT_LT(testing::relative_distance(both, sum), 1e-5);
}

// Each product's rows are computed one by one, so losses are the same bits; gradients sum rows in another order.
TEST(Executor, SequencesAtOnceGiveTheNumbersOfEachAlone) {
  for (const SmallModel& m : testing::every_model()) {
    SCOPED_TRACE(describe(m));
    const Program one(m.recipe, m.size, tensor::Dtype::kFloat32), three(m.recipe, m.size, tensor::Dtype::kFloat32, 3);
    const std::vector<float> parameters = testing::random_parameters(one, 1);
    PackedWeights packed(one);
    packed.refresh(parameters.data(), 0, 1);
    Executor alone(one, packed, parameters.data(), true), together(three, packed, parameters.data(), true);
    std::vector<std::vector<uint16_t>> texts;
    for (uint64_t seed : {2, 3, 4})
      texts.push_back(testing::random_tokens(m.size.context + 1, m.size.vocabulary, seed));
    for (size_t count : {3u, 2u}) {
      const std::vector<Executor::Tokens> sequences(texts.begin(), texts.begin() + static_cast<int64_t>(count));
      std::vector<float> expected(parameters.size(), 0.0f), gradients(parameters.size(), 0.0f);
      std::vector<double> losses(count), windows(count);
      together.train(sequences, 0.5f, gradients.data(), losses.data());
      together.evaluate(sequences, windows.data());
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(losses[i], alone.train_sequence(sequences[i], 0.5f, expected.data()));
        EXPECT_EQ(windows[i], alone.eval_sequence(sequences[i]));
      }
      EXPECT_LT(testing::relative_distance(gradients, expected), 1e-5);
    }
  }
}

TEST(Executor, NothingIsAllocatedInAStep) {
  for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
    for (const SmallModel& m : testing::every_model()) {
      SCOPED_TRACE(describe(m));
      const Program program(m.recipe, m.size, dtype, 2);
      const std::vector<float> parameters = testing::random_parameters(program, 1);
      const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
      const std::vector<Executor::Tokens> sequences = {tokens, tokens};
      std::vector<double> losses(2);
      PackedWeights packed(program);
      Executor executor(program, packed, parameters.data(), true);
      Generation generation(program, packed, parameters.data());
      std::vector<float> gradients(parameters.size());
      const int64_t before = testing::allocation_count;
      packed.refresh(parameters.data(), 0, 1);
      executor.train(sequences, 1, gradients.data(), losses.data());
      executor.eval_sequence(std::span(tokens).first(5));
      generation.next(tokens[0]);
      EXPECT_EQ(testing::allocation_count, before);
    }
  }
  const int64_t before = testing::allocation_count;
  const auto counted = std::make_unique<int>(1);
  EXPECT_EQ(testing::allocation_count, before + *counted);  // the counter counts
}

TEST(Executor, ThreadsSharingAProgramGiveTheNumbersOfOne) {
  const SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm,
                                            recipe::FeedForward::kSwiglu, 1, true, false, recipe::Transfer::kMup);
  const Program program(m.recipe, m.size, tensor::Dtype::kBfloat16);
  const std::vector<float> parameters = testing::random_parameters(program, 1);
  PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  std::vector<std::vector<float>> gradients(3, std::vector<float>(parameters.size(), 0.0f));
  std::vector<std::thread> team;
  for (size_t thread = 0; thread < 3; ++thread) {
    team.emplace_back([&, thread] {
      Executor executor(program, packed, parameters.data(), true);
      for (uint64_t seed = 0; seed < 20; ++seed) {
        executor.train_sequence(testing::random_tokens(m.size.context + 1, m.size.vocabulary, seed), 1,
                                gradients[thread].data());
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_EQ(gradients[0], gradients[2]);
}

TEST(Fusion, OnAndOffGiveTheSameNumbers) {
  for (const SmallModel& m : testing::every_model()) {
    SCOPED_TRACE(describe(m));
    const Program on(m.recipe, m.size, tensor::Dtype::kFloat32),
        off(m.recipe, m.size, tensor::Dtype::kFloat32, 1, Program::Fusion::kOff);
    const std::vector<float> parameters = testing::random_parameters(on, 1);
    const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
    const auto a = testing::loss_and_gradient(on, parameters, tokens),
               b = testing::loss_and_gradient(off, parameters, tokens);
    EXPECT_NEAR(a.loss, b.loss, 1e-4);
    EXPECT_LT(testing::relative_distance(a.gradient, b.gradient), 1e-5);
    EXPECT_LE(on.memory().arena_bytes_train, off.memory().arena_bytes_train);
  }
}

TEST(Bfloat16, AgreesWithFloat32WithinItsRounding) {
  for (const SmallModel& m : testing::every_model()) {
    SCOPED_TRACE(describe(m));
    const Program exact(m.recipe, m.size, tensor::Dtype::kFloat32), rounded(m.recipe, m.size, tensor::Dtype::kBfloat16);
    // Weights as a model has them, about 1 / sqrt(fan-in).
    const std::vector<float> parameters = testing::random_parameters(exact, 1, 0.15);
    const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
    const auto a = testing::loss_and_gradient(rounded, parameters, tokens),
               b = testing::loss_and_gradient(exact, parameters, tokens);
    // A bfloat16 operand is off by up to 2^-9; a dozen roundings lie on the way through two layers and back.
    EXPECT_NEAR(a.loss / b.loss, 1, 0.005);
    // A recurrent head's first outputs are (q . k) v, then normalised: where q . k nearly cancels, so does its
    // rounding.
    const bool recurs = recipe::is_active(m.recipe, "model.state_dim");
    EXPECT_LT(testing::relative_distance(a.gradient, b.gradient), recurs ? 0.2 : 0.03);
  }
}

SmallModel transferred(recipe::Transfer transfer, int base_width, int base_depth) {
  SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm,
                                      recipe::FeedForward::kSwiglu, 1, true, false, transfer);
  m.recipe.initialisation.base_width = base_width;
  m.recipe.initialisation.base_depth = base_depth;
  return m;
}

TEST(Completep, IsMupAtTheBaseWidthAndDepth) {
  const SmallModel mup = transferred(recipe::Transfer::kMup, 24, 2),
                   completep = transferred(recipe::Transfer::kCompletep, 24, 2);
  const Program a(mup.recipe, mup.size, tensor::Dtype::kFloat32),
      b(completep.recipe, completep.size, tensor::Dtype::kFloat32);
  EXPECT_EQ(a.describe(), b.describe());
  for (size_t i = 0; i < a.parameters().size(); ++i)
    EXPECT_EQ(a.parameters()[i].initial_sd, b.parameters()[i].initial_sd) << a.parameters()[i].name;
  EXPECT_EQ(matrix_weight_decay(completep.recipe, completep.size), mup.recipe.optimizer.weight_decay);
  EXPECT_EQ(adam_epsilon(completep.recipe, completep.size, true), mup.recipe.optimizer.epsilon);
}

TEST(Completep, ScalesWhatBlocksAddByBaseDepthOverDepth) {
  // Base depth 4 and two layers: twice as much, which float32 holds exactly, as twice the matrices before it would.
  const SmallModel mup = transferred(recipe::Transfer::kMup, 16, 4),
                   completep = transferred(recipe::Transfer::kCompletep, 16, 4);
  const Program a(mup.recipe, mup.size, tensor::Dtype::kFloat32),
      b(completep.recipe, completep.size, tensor::Dtype::kFloat32);
  std::vector<float> parameters = testing::random_parameters(a, 1);
  const std::vector<uint16_t> tokens = testing::random_tokens(12, mup.size.vocabulary, 2);
  const double doubled = testing::loss_only(b, parameters, tokens);
  for (const ParameterInfo& p : a.parameters()) {
    if (!p.name.ends_with(".out") && !p.name.ends_with(".down")) continue;
    for (int64_t i = 0; i < p.shape.elements(); ++i) parameters[static_cast<size_t>(p.offset + i)] *= 2;
  }
  EXPECT_EQ(testing::loss_only(a, parameters, tokens), doubled);
}

TEST(Completep, FollowsItsTable) {
  recipe::Recipe recipe;
  recipe.initialisation = {.transfer = recipe::Transfer::kCompletep, .base_width = 64, .base_depth = 2};
  recipe.optimizer.kind = recipe::OptimizerKind::kAdamw;
  recipe::Size size;
  size.width = 256, size.layers = 8;
  EXPECT_DOUBLE_EQ(residual_multiplier(recipe, size), 0.25);
  EXPECT_DOUBLE_EQ(matrix_weight_decay(recipe, size), 4 * recipe.optimizer.weight_decay);
  EXPECT_DOUBLE_EQ(adam_epsilon(recipe, size, false), recipe.optimizer.epsilon / 4);
  EXPECT_DOUBLE_EQ(adam_epsilon(recipe, size, true), recipe.optimizer.epsilon / 16);
  // A matrix that writes to the stream starts as at the base depth.
  EXPECT_DOUBLE_EQ(matrix_initial_sd(recipe, size, 256, true), 0.02 * std::sqrt(64.0 / 256) / std::sqrt(4.0));
  recipe.optimizer.kind = recipe::OptimizerKind::kMuon;  // its rate does not shrink, nor does the decay grow
  EXPECT_DOUBLE_EQ(matrix_weight_decay(recipe, size), recipe.optimizer.weight_decay);
}

TEST(Describe, HasOneLinePerStepWithShapesAndOffsets) {
  const SmallModel m = testing::small_model(recipe::Positions::kRope, recipe::NormKind::kRmsNorm,
                                            recipe::FeedForward::kSwiglu, 1, true, false, recipe::Transfer::kMup);
  const std::string text = Program(m.recipe, m.size, tensor::Dtype::kBfloat16).describe();
  for (const char* part :
       {"attention_backward", "bf16 (11, 72)", "blocks.1.feed_forward.gate_up.packed_transposed", "@", "FLOP"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

}  // namespace
}  // namespace flywheel::model
