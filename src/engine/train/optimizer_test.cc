#include "engine/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "testing/golden/adamw_trace.h"
#include "testing/golden/optimizer_trace.h"
#include "testing/matrix.h"

namespace flywheel::train {
namespace {

using model::ParameterGroup;
using model::ParameterInfo;

std::vector<float> draws(int64_t count, uint64_t seed, double sd = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(sd * rng.normal());
  return values;
}

recipe::Size rates(double matrix, double others) {
  recipe::Size size;
  size.matrix_learning_rate = matrix;
  size.embedding_learning_rate = size.head_learning_rate = size.vector_learning_rate = others;
  return size;
}

TEST(Adamw, RepeatsPyTorchsTrajectoryWithClippingAndDecayOfMatricesOnly) {
  recipe::Recipe recipe;
  recipe.optimizer.kind = recipe::OptimizerKind::kAdamw;
  recipe.optimizer.beta1 = 0.9;
  recipe.optimizer.beta2 = 0.99;
  recipe.optimizer.weight_decay = 0.1;
  recipe.optimizer.gradient_clip = 1;
  const std::vector<ParameterInfo> parameters = {
      {.name = "m", .shape = {2, 3}, .offset = 0},
      {.name = "v", .shape = {2}, .group = ParameterGroup::kVector, .offset = 16}};
  Optimizer optimizer(recipe, rates(1, 1), parameters, 32, tensor::Dtype::kFloat32, 1);
  std::vector<float> weights(32, 0.0f), gradient(32, 0.0f);
  std::copy_n(testing::golden::kAdamwMatrixStart.begin(), 6, weights.begin());
  std::copy_n(testing::golden::kAdamwVectorStart.begin(), 2, weights.begin() + 16);
  int64_t step = 0;
  for (const auto& golden : testing::golden::kAdamwTrace) {
    std::copy_n(golden.matrix_gradient.begin(), 6, gradient.begin());
    std::copy_n(golden.vector_gradient.begin(), 2, gradient.begin() + 16);
    float* buffers[] = {gradient.data()};
    optimizer.reduce(buffers, 0);
    EXPECT_NEAR(optimizer.gradient_norm(), golden.gradient_norm, 1e-6 * golden.gradient_norm);
    optimizer.begin(step++, golden.learning_rate, optimizer.gradient_norm());
    optimizer.update(gradient.data(), weights.data(), 0);
    // float32 moments and weights against float64: some 1e-7 of the weight a step.
    for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(weights[i], golden.matrix[i], 2e-6) << step << " " << i;
    for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(weights[16 + i], golden.vector[i], 2e-6) << step << " " << i;
  }
}

recipe::Recipe muon_recipe() {
  recipe::Recipe recipe;
  recipe.optimizer.kind = recipe::OptimizerKind::kMuon;
  recipe.optimizer.gradient_clip = 0;
  recipe.model.head_dim = 4;
  return recipe;
}

TEST(Optimizer, ExpertsBiasesMoveByOneStepAgainstTheSurplusAndAreNoPartOfTheNorm) {
  for (const recipe::OptimizerKind kind : {recipe::OptimizerKind::kAdamw, recipe::OptimizerKind::kMuon,
                                           recipe::OptimizerKind::kLion, recipe::OptimizerKind::kScheduleFree}) {
    recipe::Recipe recipe;
    recipe.optimizer.kind = kind;
    recipe.model.expert_balance_rate = 0.25;
    const std::vector<ParameterInfo> parameters = {
        {.name = "v", .shape = {2}, .group = ParameterGroup::kVector, .offset = 0},
        {.name = "b", .shape = {3}, .group = ParameterGroup::kBalance, .offset = 16}};
    recipe::Size size = rates(0.1, 0.1);
    size.steps = 10;
    Optimizer optimizer(recipe, size, parameters, 32, tensor::Dtype::kFloat32, 1);
    std::vector<float> weights(32, 0.0f), gradient(32, 0.0f);
    optimizer.start(weights);
    gradient[0] = 3;
    gradient[1] = 4;
    gradient[16] = 1e5f * 1e-30f;  // as much as a router's backward leaves
    gradient[17] = -1e-30f;
    float* buffers[] = {gradient.data()};
    optimizer.reduce(buffers, 0);
    EXPECT_EQ(optimizer.gradient_norm(), 5);
    optimizer.begin(0, 1, optimizer.gradient_norm());
    optimizer.update(gradient.data(), weights.data(), 0);
    EXPECT_EQ(weights[16], -0.25f);
    EXPECT_EQ(weights[17], 0.25f);
    EXPECT_EQ(weights[18], 0);
    EXPECT_NE(weights[0], 0);
  }
}

TEST(Optimizer, OrthogonalisesFusedMatricesApart) {
  const int64_t width = 16;
  recipe::Size size = rates(1, 1);
  recipe::Recipe recipe = muon_recipe();
  recipe.optimizer.weight_decay = 0;
  const std::vector<ParameterInfo> parameters = {{.name = "qkv", .shape = {32, width}, .parts = {16, 8, 8}}};
  Optimizer optimizer(recipe, size, parameters, 32 * width, tensor::Dtype::kFloat32, 1);
  std::vector<float> weights(static_cast<size_t>(32 * width), 0.0f), gradient = draws(32 * width, 5);
  // The three parts in very different scales: orthogonalised together, the small ones would vanish.
  for (size_t i = static_cast<size_t>(16 * width); i < gradient.size(); ++i) gradient[i] *= 1e-4f;
  optimizer.begin(0, 1, 1);
  optimizer.update(gradient.data(), weights.data(), 0);
  for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{0, 16}, {16, 8}, {24, 8}}) {
    const std::vector<double> values =
        testing::singular_values(testing::Matrix(weights.data() + first * width, rows, width));
    EXPECT_LT(values.front(), 1.25) << first;
    EXPECT_GT(values[static_cast<size_t>(rows / 2)], 0.6) << first;
  }
}

// Every kind, plain and with what else a recipe may ask for.
std::vector<recipe::Recipe> optimizer_recipes() {
  std::vector<recipe::Recipe> recipes;
  for (const recipe::OptimizerKind kind :
       {recipe::OptimizerKind::kAdamw, recipe::OptimizerKind::kMuon, recipe::OptimizerKind::kLion,
        recipe::OptimizerKind::kSoap, recipe::OptimizerKind::kScheduleFree}) {
    recipe::Recipe recipe;
    recipe.optimizer.kind = kind;
    recipe.optimizer.gradient_clip = 1;
    recipe.optimizer.soap_interval = 2;
    recipe.model.head_dim = 4;
    recipes.push_back(recipe);
    recipe.optimizer.decay_form = recipe::WeightDecay::kL2;
    if (kind != recipe::OptimizerKind::kScheduleFree) {
      recipe.optimizer.cautious = true;
      recipe.optimizer.averaging = recipe::Averaging::kExponential;
    }
    recipes.push_back(recipe);
  }
  return recipes;
}

const std::vector<ParameterInfo> kMixedParameters = {
    {.name = "embedding", .shape = {257, 160}, .group = ParameterGroup::kEmbedding, .offset = 0},
    {.name = "a", .shape = {24, 40}, .offset = 41120},
    {.name = "blocks.0.feed_forward.gate_up", .shape = {40, 24}, .parts = {20, 20}, .offset = 42080},
    {.name = "gain", .shape = {40}, .group = ParameterGroup::kVector, .offset = 43040}};

TEST(Optimizer, GivesTheSameBitsWithAnyNumberOfThreads) {
  for (const recipe::Recipe& recipe : optimizer_recipes()) {
    std::vector<std::vector<float>> results, averages;
    std::vector<double> norms;
    for (const int threads : {1, 2, 3, 7}) {
      Optimizer optimizer(recipe, rates(0.02, 0.003), kMixedParameters, 43088, tensor::Dtype::kFloat32, threads);
      std::vector<float> weights = draws(43088, 1), gradient = draws(43088, 2);
      optimizer.start(weights);
      float* buffers[] = {gradient.data()};
      for (int64_t step = 0; step < 5; ++step) {
        for (int thread = 0; thread < threads; ++thread) optimizer.reduce(buffers, thread);
        optimizer.begin(step, 0.5, optimizer.gradient_norm());
        for (int thread = threads - 1; thread >= 0; --thread) optimizer.update(gradient.data(), weights.data(), thread);
      }
      norms.push_back(optimizer.gradient_norm());
      averages.emplace_back(optimizer.average().begin(), optimizer.average().end());
      EXPECT_NE(weights, draws(43088, 1));
      results.push_back(std::move(weights));
    }
    for (size_t i = 1; i < results.size(); ++i) {
      EXPECT_EQ(results[i], results[0]) << static_cast<int>(recipe.optimizer.kind);
      EXPECT_EQ(averages[i], averages[0]);
      EXPECT_EQ(norms[i], norms[0]);
    }
  }
}

TEST(Optimizer, RepeatsTheRecordedTrajectoriesOfEveryRuleFormAndAverage) {
  for (const auto& trace : testing::golden::kOptimizerTraces) {
    SCOPED_TRACE(::testing::Message() << "trace " << &trace - testing::golden::kOptimizerTraces << " kind "
                                      << static_cast<int>(trace.kind) << " " << trace.rows << " by " << trace.columns);
    recipe::Recipe recipe;
    recipe.optimizer.kind = trace.kind;
    recipe.optimizer.cautious = trace.cautious;
    recipe.optimizer.decay_form = trace.decay_form;
    recipe.optimizer.averaging = trace.averaging;
    recipe.optimizer.momentum = 0.9;
    recipe.optimizer.soap_interval = 2;
    recipe.optimizer.gradient_clip = 0;
    recipe.optimizer.average_decay = 0.8;
    recipe.optimizer.average_fraction = 0.4;
    recipe::Size size = rates(0.05, 0.05);
    size.steps = static_cast<int64_t>(testing::golden::kOptimizerShares.size());
    const int64_t elements = trace.rows * trace.columns;
    const std::vector<ParameterInfo> parameters = {{.name = "m", .shape = {trace.rows, trace.columns}, .offset = 0}};
    Optimizer optimizer(recipe, size, parameters, elements, tensor::Dtype::kFloat32, 1);
    std::vector<float> weights(trace.start.begin(), trace.start.end());
    optimizer.start(weights);
    for (int64_t step = 0; step < size.steps; ++step) {
      optimizer.begin(step, testing::golden::kOptimizerShares[static_cast<size_t>(step)], 1);
      const auto& values = trace.gradients[static_cast<size_t>(step)];
      const std::vector<float> gradient(values.begin(), values.end());
      optimizer.update(gradient.data(), weights.data(), 0);
    }
    const std::span<const float> average = optimizer.average();
    const std::span<const float> kept = average.empty() ? std::span<const float>(weights) : average;
    // float32 against float64; Muon's iterations and SOAP's rotations are some dozens of products deep.
    const double tolerance =
        trace.kind == recipe::OptimizerKind::kMuon || trace.kind == recipe::OptimizerKind::kSoap ? 2e-4 : 2e-6;
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(weights[i], trace.weights[i], tolerance) << i;
      EXPECT_NEAR(kept[i], trace.kept[i], tolerance) << i;
    }
  }
}

TEST(Optimizer, ItsAverageIsTheWeightsThemselvesUntilTheTailBegins) {
  recipe::Recipe recipe;
  recipe.optimizer.averaging = recipe::Averaging::kTail;
  recipe.optimizer.average_fraction = 0.3;
  recipe::Size size = rates(0.02, 0.003);
  size.steps = 10;
  Optimizer optimizer(recipe, size, kMixedParameters, 43088, tensor::Dtype::kFloat32, 1);
  std::vector<float> weights = draws(43088, 1), gradient = draws(43088, 2);
  optimizer.start(weights);
  for (int64_t step = 0; step < size.steps; ++step) {
    optimizer.begin(step, 1, 1);
    optimizer.update(gradient.data(), weights.data(), 0);
    const bool same = std::equal(weights.begin(), weights.end(), optimizer.average().begin());
    EXPECT_EQ(same, step <= 7) << step;  // the tail's first step is its own mean
  }
}

TEST(Optimizer, SumsTheThreadsGradientsInTheirOrder) {
  recipe::Recipe recipe = muon_recipe();
  const std::vector<ParameterInfo> parameters = {
      {.name = "v", .shape = {3}, .group = ParameterGroup::kVector, .offset = 0}};
  Optimizer optimizer(recipe, rates(1, 1), parameters, 16, tensor::Dtype::kFloat32, 2);
  std::vector<float> first(16, 0.0f), second(16, 0.0f);
  first[0] = 3, second[0] = -1, second[2] = 4;
  float* buffers[] = {first.data(), second.data()};
  optimizer.reduce(buffers, 0);
  optimizer.reduce(buffers, 1);
  EXPECT_EQ(first[0], 2);
  EXPECT_EQ(first[2], 4);
  EXPECT_DOUBLE_EQ(optimizer.gradient_norm(), std::sqrt(20.0));
}

}  // namespace
}  // namespace flywheel::train
