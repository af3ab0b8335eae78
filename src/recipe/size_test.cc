#include "recipe/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/json.h"

namespace flywheel::recipe {
namespace {

Size hand_size() {
  Size size;
  size.vocabulary = 257;
  size.layers = 3;
  size.width = 64;
  size.heads = 4;
  size.kv_heads = 2;
  size.feed_forward = 176;
  size.context = 256;
  size.batch_sequences = 8;
  size.steps = 100;
  return size;
}

// Without tables beside the token's: the counts by hand are then short.
Recipe plain_recipe() {
  Recipe recipe;
  recipe.model.ngram_embeddings = 0;
  return recipe;
}

Recipe hand_recipe() {
  Recipe recipe = plain_recipe();
  recipe.model.kv_group = 2;
  return recipe;
}

TEST(Counts, MatchHandComputedSwigluWithGroupedQueries) {
  // Per layer: qkv 64*(4+4)*16 = 8192, out 64*64 = 4096, feed-forward 3*64*176 = 33792: 46080. Head 257*64 = 16448.
  const Counts counts = count(hand_recipe(), hand_size());
  EXPECT_EQ(counts.matrix_parameters, 3 * 46080 + 16448);
  // Embeddings 16448, gains of 7 RMS norms.
  EXPECT_EQ(counts.parameters, 3 * 46080 + 2 * 16448 + 7 * 64);
  EXPECT_EQ(counts.forward_flops_per_token, 2 * 154688 + 2 * 3 * 256 * 64);
  EXPECT_EQ(counts.flops_per_token, 6 * 154688 + 6 * 3 * 256 * 64);
  EXPECT_EQ(training_flops(hand_recipe(), hand_size()), (6.0 * 154688 + 6 * 3 * 256 * 64) * 100 * 8 * 256);
}

TEST(Counts, MatchHandComputedGeluLayerNormLearnedTied) {
  Recipe recipe = plain_recipe();
  recipe.model.feed_forward = FeedForward::kGelu;
  recipe.model.norm = NormKind::kLayerNorm;
  recipe.model.positions = Positions::kLearned;
  recipe.model.tied_head = true;
  Size size = hand_size();
  size.kv_heads = 4;
  size.feed_forward = 256;
  // Per layer: qkv 64*192 = 12288, out 4096, feed-forward 2*64*256 = 32768: 49152.
  const Counts counts = count(recipe, size);
  EXPECT_EQ(counts.matrix_parameters, 3 * 49152 + 16448);
  // Tied: the table once. Positions 256*64; 7 norms with gain and bias.
  EXPECT_EQ(counts.parameters, 3 * 49152 + 16448 + 256 * 64 + 7 * 128);
}

TEST(Counts, MatchHandComputedWindowsGatesSinksAndValueResiduals) {
  Recipe recipe = hand_recipe();
  recipe.model.mixers = "window,window,attention";
  recipe.model.window = 64;
  recipe.model.attention_gate = recipe.model.attention_sink = recipe.model.value_residual = true;
  const Counts counts = count(recipe, hand_size());
  // A gate of 64*64 more per layer than above; four sinks per layer, two shares.
  EXPECT_EQ(counts.matrix_parameters, 3 * (46080 + 4096) + 16448);
  EXPECT_EQ(counts.parameters, 3 * (46080 + 4096) + 2 * 16448 + 7 * 64 + 3 * 4 + 2);
  // Of 256 tokens those from the 64th on see 64: 256*64 - 64*64/2 = 14336 pairs, 56 a token, where a full layer has
  // 128; 4 * 64 FLOPs each.
  EXPECT_EQ(counts.forward_flops_per_token, 2 * counts.matrix_parameters + (2 * 56 + 128) * 4 * 64);
  recipe.model.window = 10000;
  EXPECT_EQ(count(recipe, hand_size()).forward_flops_per_token, 2 * counts.matrix_parameters + 3 * 128 * 4 * 64);
}

TEST(Counts, MatchHandComputedLatentAttention) {
  Recipe recipe = plain_recipe();
  recipe.model.mixers = "latent";
  Size size = hand_size();
  size.kv_heads = 4;
  // Latent 4*16 = 64, rotary key 8. Per layer: query 64*64, latent 64*64, rotary key 8*64, up 4*(8+16)*64, out 64*64:
  // 18944, feed-forward 33792.
  Counts counts = count(recipe, size);
  EXPECT_EQ(counts.matrix_parameters, 3 * (18944 + 33792) + 16448);
  EXPECT_EQ(counts.parameters, counts.matrix_parameters + 16448 + 7 * 64 + 3 * 64);
  EXPECT_EQ(counts.forward_flops_per_token, 2 * counts.matrix_parameters + 2 * 3 * 256 * 64);
  recipe.model.positions = Positions::kNone;
  recipe.model.latent_dim = 32;
  // Query 64*64, latent 32*64, up 4*(16+16)*32, out 64*64: 14336.
  EXPECT_EQ(count(recipe, size).matrix_parameters, 3 * (14336 + 33792) + 16448);
}

TEST(Counts, MatchHandComputedMixersBeyondAttention) {
  Recipe recipe = plain_recipe();
  recipe.model.state_dim = 8;  // keys 4*8 = 32, values 4*16 = 64 of all heads
  const auto layer = [&](const char* mixers) {
    recipe.model.mixers = mixers;
    Size size = hand_size();
    size.kv_heads = 4;
    const Counts counts = count(recipe, size);
    // Less the feed-forward blocks, the head, the embedding and 7 norms.
    const int64_t rest = 3 * 33792 + 16448, matrices = (counts.matrix_parameters - rest) / 3;
    const int64_t vectors = (counts.parameters - counts.matrix_parameters - 16448 - 7 * 64) / 3;
    const double states = (counts.forward_flops_per_token - 2.0 * static_cast<double>(counts.matrix_parameters)) / 3;
    return std::tuple(matrices, vectors, states);
  };
  // In and out of the state: 4 * 4 heads * 8 * 16; twice that with a delta rule.
  EXPECT_EQ(layer("gated_linear"), std::tuple(64 * (32 + 32 + 64 + 64 + 16) + 32 * 16 + 64 * 64, 32 + 64, 2048.0));
  EXPECT_EQ(layer("mamba2"), std::tuple(64 * (8 + 8 + 64 + 64 + 4) + 64 * 64, 3 * 4 + 64, 2048.0));
  EXPECT_EQ(layer("gated_delta"), std::tuple(64 * (32 + 32 + 64 + 64 + 8) + 64 * 64, 2 * 4 + 64, 4096.0));
  // Two of the three layers take values from the first: 16 (64 + 64) weights and 64 biases each.
  EXPECT_EQ(layer("rwkv7"),
            std::tuple(64 * (32 + 32 + 64 + 64) + 2 * 16 * (64 + 32) + 16 * (64 + 64) + 2 * 16 * (64 + 64) / 3,
                       6 * 64 + 5 * 32 + 2 * 64 + 2 * 64 / 3, 4096.0));
  recipe.model.short_convolution = 3;
  EXPECT_EQ(layer("gated_delta"), std::tuple(64 * 200 + 64 * 64, 2 * 4 + 64 + 3 * 128, 4096.0 + 2 * 3 * 128));
  EXPECT_EQ(layer("mamba2"), std::tuple(64 * 148 + 64 * 64, 3 * 4 + 64 + 3 * 80, 2048.0 + 2 * 3 * 80));
  EXPECT_EQ(layer("attention"), std::tuple(4 * 64 * 64, 3 * 192, 2.0 * 256 * 64 + 2 * 3 * 192));
}

TEST(Counts, StayExactForTheLargestModels) {
  Size size = hand_size();
  size.layers = 120;
  size.width = 12288;
  size.heads = size.kv_heads = 768;
  size.feed_forward = 32768;
  const int64_t layer = 4LL * 12288 * 12288 + 3LL * 12288 * 32768;
  EXPECT_EQ(count(Recipe(), size).matrix_parameters, 120 * layer + 257LL * 12288);
}

class FamilyOf : public ::testing::TestWithParam<const char*> {
 protected:
  Recipe recipe() const {
    Recipe recipe;
    std::string patches = GetParam();
    for (size_t begin = 0; begin < patches.size();) {
      const size_t end = std::min(patches.find(' ', begin), patches.size());
      recipe = apply_patch(recipe, patches.substr(begin, end - begin));
      begin = end + 1;
    }
    return recipe;
  }
};

TEST_P(FamilyOf, IsDistinctSortedDivisibleAndFine) {
  const Recipe r = recipe();
  const std::vector<Size> sizes = family(r, 1e3, 1e11);
  ASSERT_GT(sizes.size(), 20u);
  int64_t previous = 0;
  for (const Size& size : sizes) {
    const int64_t parameters = count(r, size).matrix_parameters;
    EXPECT_GT(parameters, previous);
    // One step of width and at most one of depth: under (17/16)^2 * 9/8 past 16 steps of the grid and 8 layers.
    if (size.width > 16 * std::lcm(r.model.head_dim * r.model.kv_group, 16) && size.layers > 8 && previous > 0) {
      EXPECT_LT(static_cast<double>(parameters) / static_cast<double>(previous), 1.35)
          << size.width << " x " << size.layers;
    }
    previous = parameters;
    EXPECT_EQ(size.width % 4, 0);
    EXPECT_EQ(size.feed_forward % 16, 0);
    // Heads fill the width but for a group; the smallest models have one group, of up to twice the width.
    const int group = r.model.head_dim * r.model.kv_group, filled = size.heads * r.model.head_dim;
    EXPECT_TRUE(filled <= size.width || filled == group) << size.width << " " << size.heads;
    EXPECT_LT(size.width - filled, group);
    EXPECT_LE(filled, 2 * size.width);
    EXPECT_EQ(size.kv_heads * r.model.kv_group, size.heads);
    EXPECT_GE(size.layers, 1);
    validate(r, size, "family");
  }
  EXPECT_GT(static_cast<double>(previous), 0.9e11);
}

TEST_P(FamilyOf, NeighboursDoNotDependOnTheRangeAskedFor) {
  const Recipe r = recipe();
  const std::vector<Size> all = family(r, 1e3, 1e10);
  for (const double high : {3e4, 1e5, 7.7e5, 3e6, 1e8}) {
    std::vector<Json> part, whole;
    for (const Size& size : family(r, 1e4, high)) part.push_back(to_json(size));
    for (const Size& size : all) {
      const auto n = static_cast<double>(count(r, size).matrix_parameters);
      if (n >= 1e4 && n <= high) whole.push_back(to_json(size));
    }
    EXPECT_EQ(part, whole) << high;
  }
}

TEST_P(FamilyOf, NearestSizeIsTheNearestMember) {
  const Recipe r = recipe();
  const std::vector<Size> all = family(r, 1, 1e9);
  for (double wanted = 100; wanted < 1e8; wanted *= 1.7) {
    double best = 1e9;
    for (const Size& size : all)
      best = std::min(best, std::abs(std::log(static_cast<double>(count(r, size).matrix_parameters) / wanted)));
    const auto found = static_cast<double>(count(r, nearest_size(r, wanted)).matrix_parameters);
    EXPECT_NEAR(std::abs(std::log(found / wanted)), best, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, FamilyOf,
                         ::testing::Values("", "model.kv_group=2", "model.head_dim=64",
                                           "model.head_dim=24 model.kv_group=3", "model.kv_group=8",
                                           "model.mixers=latent,window,attention",
                                           "model.aspect=128 model.feed_forward=gelu", "model.aspect=8",
                                           "model.head_dim=128"));

TEST(Family, StartsTinyAndEmptyRangesAreEmpty) {
  // Width 8, two layers with one head of 16: 2 * (8 * 48 + 16 * 8 + 3 * 8 * 16) + 257 * 8.
  EXPECT_EQ(count(Recipe(), family(Recipe(), 1, 1e5).front()).matrix_parameters, 3848);
  EXPECT_TRUE(family(Recipe(), 1, 100).empty());
}

// A rung's isoFLOP sizes must lie close enough for a minimum between them.
TEST(Family, NeighboursOfTheUsualRecipeLieLittleMoreThanTwiceApart) {
  double previous = 0;
  for (const Size& size : family(Recipe(), 1, 1e8)) {
    const auto parameters = static_cast<double>(count(Recipe(), size).matrix_parameters);
    if (previous > 0) {
      EXPECT_LT(parameters / previous, size.width <= 64 ? 1.85 : 2.2) << size.width;  // wider ones grow in depth too
    }
    previous = parameters;
  }
}

TEST(WithFlops, SpendsWhatWasAskedFor) {
  const Recipe recipe;
  for (double flops = 1e10; flops < 1e20; flops *= 3.3) {
    const Size size = size_for_flops(recipe, flops);
    // Rounded to whole steps, of which there are at least fifty where the budget allows.
    EXPECT_NEAR(training_flops(recipe, size) / flops, 1, 0.5 / static_cast<double>(size.steps) + 1e-9);
    EXPECT_GE(size.steps, 50);
  }
}

TEST(WithFlops, BatchShrinksBeforeStepsFallBelowFifty) {
  const Recipe recipe = apply_patch(apply_patch(Recipe(), "scaling.batch_tokens=2048"), "scaling.batch_exponent=0");
  const Size model = nearest_size(recipe, 1e5);
  const double sequence = count(recipe, model).flops_per_token * model.context;
  EXPECT_EQ(with_flops(recipe, model, sequence * 16 * 1000).batch_sequences, 16);
  EXPECT_EQ(with_flops(recipe, model, sequence * 16 * 1000).steps, 1000);
  EXPECT_EQ(with_flops(recipe, model, sequence * 200).batch_sequences, 4);
  EXPECT_EQ(with_flops(recipe, model, sequence * 200).steps, 50);
  EXPECT_EQ(with_flops(recipe, model, sequence * 20).batch_sequences, 1);
  EXPECT_EQ(with_flops(recipe, model, sequence * 20).steps, 20);
  EXPECT_EQ(with_flops(recipe, model, sequence * 0.01).steps, 1);
}

TEST(WithFlops, BatchGrowsByItsExponent) {
  Recipe recipe = apply_patch(Recipe(), "scaling.batch_exponent=0.5");
  const Size size = with_flops(recipe, nearest_size(recipe, 1e6), 1e14);
  EXPECT_EQ(size.batch_sequences, 160);  // 2048 * sqrt(100) / 128
}

TEST(SizeForFlops, MeetsTheTokensPerParameter) {
  const Recipe recipe;
  for (const double ratio : {5.0, 20.0, 200.0}) {
    const Size size = size_for_flops(recipe, 1e16, ratio);
    const double found =
        static_cast<double>(size.tokens()) / static_cast<double>(count(recipe, size).matrix_parameters);
    // Neighbours lie up to 1.35 apart in parameters, so at most 1.35 off in tokens per parameter: half of 1.35 squared.
    EXPECT_NEAR(std::log(found / ratio), 0, std::log(1.36));
  }
}

TEST(LearningRates, FollowTheWidthRule) {
  Recipe recipe;
  const Size model = nearest_size(recipe, 3e6);
  const double shrink = 128.0 / model.width;
  ASSERT_NE(shrink, 1);
  Size size = with_flops(recipe, model, 1e14);  // Muon, muP
  EXPECT_DOUBLE_EQ(size.matrix_learning_rate, 0.02);
  EXPECT_DOUBLE_EQ(size.embedding_learning_rate, 0.01);
  EXPECT_DOUBLE_EQ(size.vector_learning_rate, 0.01);
  recipe = apply_patch(recipe, "optimizer.kind=adamw");
  size = with_flops(recipe, model, 1e14);
  EXPECT_DOUBLE_EQ(size.matrix_learning_rate, 0.02 * shrink);
  EXPECT_DOUBLE_EQ(size.embedding_learning_rate, 0.02);
  EXPECT_DOUBLE_EQ(size.head_learning_rate, 0.02);
  EXPECT_DOUBLE_EQ(size.vector_learning_rate, 0.02);
  recipe = apply_patch(recipe, "initialisation.transfer=standard");
  EXPECT_DOUBLE_EQ(with_flops(recipe, model, 1e14).matrix_learning_rate, 0.02);
}

TEST(LearningRates, OfMatricesShrinkWithTheWidthUnlessTheUpdateIsOrthogonal) {
  for (const char* transfer : {"standard", "mup", "completep"}) {
    for (const char* kind : {"adamw", "muon", "lion", "soap", "schedule_free"}) {
      Recipe recipe = apply_patch(Recipe(), "schedule.kind=constant");
      recipe = apply_patch(apply_patch(recipe, std::string("optimizer.kind=") + kind),
                           std::string("initialisation.transfer=") + transfer);
      const Size model = nearest_size(recipe, 3e6), size = with_flops(recipe, model, 1e14);
      const std::string name = kind;
      const bool follows = std::string(transfer) != "standard" && name != "muon";
      EXPECT_DOUBLE_EQ(size.matrix_learning_rate, 0.02 * (follows ? 128.0 / model.width : 1)) << kind << transfer;
      EXPECT_DOUBLE_EQ(size.vector_learning_rate, name == "muon" || name == "soap" ? 0.01 : 0.02) << kind << transfer;
    }
  }
}

TEST(Size, SurvivesJsonAndRefusesNonsense) {
  const Json good = to_json(hand_size());
  EXPECT_EQ(to_json(size_from_json(good, "s")), good);
  for (const auto& [field, value] : good.items()) {
    for (const Json& bad : {Json(-1), Json("x"), Json(1e300), Json(), Json::array()}) {
      Json json = good;
      json[field] = bad;
      try {
        size_from_json(json, "s.json");
        ADD_FAILURE() << field << " " << bad;
      } catch (const Error& e) {
        EXPECT_THAT(e.what(), ::testing::AllOf(::testing::HasSubstr("s.json"), ::testing::HasSubstr("size." + field)));
      }
    }
    Json json = good;
    json.erase(field);
    EXPECT_THROW(size_from_json(json, "s"), Error) << field;
  }
  Json json = good;
  json["kv_heads"] = 3;
  EXPECT_THROW(size_from_json(json, "s"), Error);
  json = good;
  json["layer"] = 3;
  EXPECT_THROW(size_from_json(json, "s"), Error);
  Size odd = hand_size();
  odd.heads = 3;
  odd.kv_heads = 3;
  EXPECT_THROW(validate(Recipe(), odd, "s"), Error);
  // No key for a group of heads.
  Size small = hand_size();
  small.heads = 8;
  small.kv_heads = 0;
  try {
    validate(apply_patch(Recipe(), "model.kv_group=8"), small, "s");
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(),
                ::testing::AllOf(::testing::HasSubstr("size.kv_heads"), ::testing::HasSubstr("kv_group = 8 / 8")));
  }
}

TEST(Size, ImpossibleRequestsAreRefused) {
  for (const double nonsense : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(nearest_size(Recipe(), nonsense), Error);
    EXPECT_THROW(size_for_flops(Recipe(), nonsense), Error);
    EXPECT_THROW(with_flops(Recipe(), nearest_size(Recipe(), 1e4), nonsense), Error);
  }
  EXPECT_THROW(with_flops(Recipe(), nearest_size(Recipe(), 1e4), 1e30), Error);
}

TEST(Experts, ActiveWorkIsThatOfTheDenseBlockAndSizesAreChosenByIt) {
  const Recipe dense;
  Recipe sparse = dense;
  sparse.model.experts = 16;
  sparse.model.experts_active = 3;
  sparse.model.experts_shared = 1;
  const Size of_dense = size_for_flops(dense, 1e15), of_sparse = size_for_flops(sparse, 1e15);
  const Counts counts = count(sparse, of_sparse);
  const int64_t hidden = expert_width(sparse, of_sparse);
  EXPECT_EQ(hidden % 8, 0);
  EXPECT_NEAR(static_cast<double>(4 * hidden), of_sparse.feed_forward, 16);  // four times half of 8, rounded away
  // Three matrices of every expert that a token passes by, in every layer.
  EXPECT_EQ(counts.matrix_parameters - counts.active_matrix_parameters,
            int64_t{of_sparse.layers} * 13 * 3 * of_sparse.width * hidden);
  EXPECT_NEAR(of_sparse.width, of_dense.width, 16);
  EXPECT_NEAR(training_flops(sparse, of_sparse) / 1e15, 1, 0.05);
}

TEST(FurtherHeads, AreCountedInTrainingAlone) {
  const Recipe one;
  Recipe three = one;
  three.model.predicted_tokens = 3;
  const Size size = size_for_flops(one, 1e13);
  const Counts of_one = count(one, size), of_three = count(three, size);
  EXPECT_EQ(of_three.matrix_parameters, of_one.matrix_parameters);
  EXPECT_EQ(of_three.forward_flops_per_token, of_one.forward_flops_per_token);
  EXPECT_EQ(of_three.parameters - of_one.parameters, 2 * (int64_t{size.width} * size.width + size.width));
  const double head = 1.0 * size.width * size.vocabulary;
  EXPECT_NEAR(of_three.flops_per_token - of_one.flops_per_token,
              12.0 * size.width * size.width + 6 * head * (2 - 3.0 / size.context), 1e-3);
}

}  // namespace
}  // namespace flywheel::recipe
