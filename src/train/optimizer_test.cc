#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "base/rng.h"
#include "testing/golden/adamw_trace.h"

namespace flywheel::train {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using model::ParameterGroup;
using model::ParameterInfo;

std::vector<float> draws(int64_t count, uint64_t seed, double sd = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(sd * rng.normal());
  return values;
}

Size rates(double matrix, double others) {
  Size size;
  size.matrix_learning_rate = matrix;
  size.embedding_learning_rate = size.head_learning_rate = size.vector_learning_rate = others;
  return size;
}

TEST(Adamw, RepeatsPyTorchsTrajectoryWithClippingAndDecayOfMatricesOnly) {
  Recipe recipe;
  recipe.optimizer.kind = OptimizerKind::kAdamw;
  recipe.optimizer.beta1 = 0.9;
  recipe.optimizer.beta2 = 0.99;
  recipe.optimizer.weight_decay = 0.1;
  recipe.optimizer.gradient_clip = 1;
  const std::vector<ParameterInfo> parameters = {
      {.name = "m", .shape = {2, 3}, .offset = 0},
      {.name = "v", .shape = {2}, .group = ParameterGroup::kVector, .offset = 16}};
  Optimizer optimizer(recipe, rates(1, 1), parameters, 32, Dtype::kFloat32, 1);
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

// Muon as Jordan et al. write it, in float64.
struct MuonReference {
  Matrix weight, buffer;
  void step(const Matrix& gradient, double rate, double momentum, double decay) {
    buffer = momentum * buffer + gradient;
    Matrix x = gradient + momentum * buffer;
    const bool tall = x.rows() > x.cols();
    if (tall) x.transposeInPlace();
    x /= x.norm() + 1e-7;
    for (int i = 0; i < 5; ++i) {
      const Matrix a = x * x.transpose();
      x = (3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x).eval();
    }
    if (tall) x.transposeInPlace();
    const double scale =
        std::sqrt(std::max(1.0, static_cast<double>(weight.rows()) / static_cast<double>(weight.cols())));
    weight = (1 - rate * decay) * weight - rate * scale * x;
  }
};

Matrix as_matrix(const float* values, int64_t rows, int64_t columns) {
  return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(values, rows, columns)
      .cast<double>();
}

struct ShapeCase {
  int64_t rows, columns;
};

TEST(Muon, FollowsItsFloat64ReferenceInEveryOrientation) {
  for (const auto& [rows, columns] : {ShapeCase{8, 8}, {24, 7}, {5, 33}, {1, 9}, {9, 1}, {48, 16}}) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
      std::vector<float> weight = draws(rows * columns, 1, 0.1), buffer(weight.size(), 0.0f);
      MuonReference reference{as_matrix(weight.data(), rows, columns), Matrix::Zero(rows, columns)};
      MuonWorkspace workspace;
      workspace.reserve(rows, columns, dtype);
      for (uint64_t step = 0; step < 4; ++step) {
        const std::vector<float> gradient = draws(rows * columns, 10 + step);
        muon_update({.learning_rate = 0.05f, .momentum = 0.9f, .weight_decay = 0.1f, .gradient_scale = 0.5f}, dtype,
                    rows, columns, gradient.data(), weight.data(), buffer.data(), workspace);
        reference.step(0.5 * as_matrix(gradient.data(), rows, columns), 0.05, 0.9, 0.1);
      }
      const Matrix found = as_matrix(weight.data(), rows, columns);
      // Five iterations multiply errors in small singular values; bfloat16 products carry 2^-8 each.
      const double tolerance = dtype == Dtype::kFloat32 ? 1e-4 : 0.06;
      EXPECT_LT((found - reference.weight).norm(), tolerance * reference.weight.norm())
          << rows << " by " << columns << " " << static_cast<int>(dtype);
    }
  }
}

TEST(Muon, UpdatesHaveSingularValuesNearOneWhateverTheGradientsScale) {
  const int64_t rows = 16, columns = 40;
  for (const double scale : {1e-6, 1.0, 1e6}) {
    std::vector<float> weight(static_cast<size_t>(rows * columns), 0.0f), buffer(weight);
    const std::vector<float> gradient = draws(rows * columns, 3, scale);
    MuonWorkspace workspace;
    workspace.reserve(rows, columns, Dtype::kFloat32);
    muon_update({.learning_rate = 1, .momentum = 0.95f, .weight_decay = 0, .gradient_scale = 1}, Dtype::kFloat32, rows,
                columns, gradient.data(), weight.data(), buffer.data(), workspace);
    const Eigen::VectorXd values = as_matrix(weight.data(), rows, columns).jacobiSvd().singularValues();
    EXPECT_GT(values.minCoeff(), 0.6) << scale;
    EXPECT_LT(values.maxCoeff(), 1.25) << scale;
  }
}

TEST(Muon, AZeroGradientChangesNothing) {
  std::vector<float> weight = draws(64, 1), buffer(64, 0.0f), gradient(64, 0.0f);
  const std::vector<float> before = weight;
  MuonWorkspace workspace;
  workspace.reserve(8, 8, Dtype::kFloat32);
  muon_update({.learning_rate = 1, .momentum = 0.95f, .weight_decay = 0, .gradient_scale = 1}, Dtype::kFloat32, 8, 8,
              gradient.data(), weight.data(), buffer.data(), workspace);
  EXPECT_EQ(weight, before);
}

Recipe muon_recipe() {
  Recipe recipe;
  recipe.optimizer.kind = OptimizerKind::kMuon;
  recipe.optimizer.gradient_clip = 0;
  recipe.model.head_dim = 4;
  return recipe;
}

TEST(Optimizer, OrthogonalisesQueriesKeysAndValuesApart) {
  const int64_t width = 16;
  Size size = rates(1, 1);
  size.heads = 4;
  size.kv_heads = 2;
  Recipe recipe = muon_recipe();
  recipe.optimizer.weight_decay = 0;
  const std::vector<ParameterInfo> parameters = {{.name = "blocks.0.attention.qkv", .shape = {32, width}, .offset = 0}};
  Optimizer optimizer(recipe, size, parameters, 32 * width, Dtype::kFloat32, 1);
  std::vector<float> weights(static_cast<size_t>(32 * width), 0.0f), gradient = draws(32 * width, 5);
  // The three parts in very different scales: orthogonalised together, the small ones would vanish.
  for (size_t i = static_cast<size_t>(16 * width); i < gradient.size(); ++i) gradient[i] *= 1e-4f;
  optimizer.begin(0, 1, 1);
  optimizer.update(gradient.data(), weights.data(), 0);
  for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{0, 16}, {16, 8}, {24, 8}}) {
    const Eigen::VectorXd values = as_matrix(weights.data() + first * width, rows, width).jacobiSvd().singularValues();
    EXPECT_LT(values.maxCoeff(), 1.25) << first;
    EXPECT_GT(values(rows / 2), 0.6) << first;
  }
}

TEST(Optimizer, GivesTheSameBitsWithAnyNumberOfThreads) {
  Recipe recipe = muon_recipe();
  recipe.optimizer.gradient_clip = 1;
  const std::vector<ParameterInfo> parameters = {
      {.name = "embedding", .shape = {257, 160}, .group = ParameterGroup::kEmbedding, .offset = 0},
      {.name = "a", .shape = {24, 40}, .offset = 41120},
      {.name = "blocks.0.feed_forward.gate_up", .shape = {40, 24}, .offset = 42080},
      {.name = "gain", .shape = {40}, .group = ParameterGroup::kVector, .offset = 43040}};
  std::vector<std::vector<float>> results;
  std::vector<double> norms;
  for (const int threads : {1, 2, 3, 7}) {
    Optimizer optimizer(recipe, rates(0.02, 0.003), parameters, 43088, Dtype::kFloat32, threads);
    std::vector<float> weights = draws(43088, 1), gradient = draws(43088, 2);
    float* buffers[] = {gradient.data()};
    for (int64_t step = 0; step < 3; ++step) {
      for (int thread = 0; thread < threads; ++thread) optimizer.reduce(buffers, thread);
      optimizer.begin(step, 0.5, optimizer.gradient_norm());
      for (int thread = threads - 1; thread >= 0; --thread) optimizer.update(gradient.data(), weights.data(), thread);
    }
    norms.push_back(optimizer.gradient_norm());
    results.push_back(std::move(weights));
  }
  for (size_t i = 1; i < results.size(); ++i) {
    EXPECT_EQ(results[i], results[0]);
    EXPECT_EQ(norms[i], norms[0]);
  }
}

TEST(Optimizer, SumsTheThreadsGradientsInTheirOrder) {
  Recipe recipe = muon_recipe();
  const std::vector<ParameterInfo> parameters = {
      {.name = "v", .shape = {3}, .group = ParameterGroup::kVector, .offset = 0}};
  Optimizer optimizer(recipe, rates(1, 1), parameters, 16, Dtype::kFloat32, 2);
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
