// The optimizer's FLOPs and the bytes of look-ups, against sums written by hand and against the recipe's counts.
#include "engine/train/costs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/train/update_rules/update_rules.h"
#include "testing/small_model.h"

namespace flywheel::train {
namespace {

// A matrix product as a loop would count it.
double product(double m, double k, double n) {
  return 2 * m * k * n;
}

TEST(UpdateRuleFlops, OfElementwiseRulesAreTheirFormulasTerms) {
  // g' = s g; m = b m + (1-b) g'; v = b v + ((1-b) g') g'; d = m i / (sqrt(v j) + e); w = k w - r d
  EXPECT_EQ(kAdamw.flops(3, 5, 1), 15 * (1 + 3 + 4 + (1 + 1 + 1 + 1 + 1) + 3));
  // g' = s g; x = b m + (1-b) g'; m = c m + (1-c) g'; w = k w - r sign(x)
  EXPECT_EQ(kLion.flops(3, 5, 1), 15 * (1 + 3 + 3 + 3));
  // g' = s g; v as AdamW; z -= r g' / (sqrt(v) + e) + d y; x += a (z - x); y = (1-b) z + b x
  EXPECT_EQ(kScheduleFree.flops(3, 5, 1), 15 * (1 + 4 + (1 + 1 + 1 + 1 + 1 + 1 + 1) + 3 + 3));
  EXPECT_EQ(kBalance.flops(1, 8, 1), 16);
}

TEST(UpdateRuleFlops, OfMuonAreFiveNewtonSchulzStepsOnTheShorterSide) {
  for (const auto& [rows, columns] : {std::pair{64, 64}, {64, 192}, {192, 64}}) {
    const double m = std::min(rows, columns), n = std::max(rows, columns);
    // A = x xT; A A; b A + c A A; a x; + (b A + c A A) x
    const double iteration = product(m, n, m) + product(m, m, m) + 3 * m * m + m * n + product(m, m, n);
    // clip; u = p u + g; g + p u; |.|; / |.|; w = k w - r d
    const double elements = m * n * (1 + 2 + 2 + 2 + 1 + 3);
    EXPECT_EQ(kMuon.flops(rows, columns, 1), 5 * iteration + elements) << rows << " x " << columns;
  }
  EXPECT_EQ(kMuon.flops(64, 64, 1), 5 * (6 * 64.0 * 64 * 64 + 4 * 64 * 64) + 11 * 64 * 64);
}

TEST(UpdateRuleFlops, OfSoapHaveARefreshsShareInEveryStep) {
  const double m = 32, n = 48;
  const double rotation = product(m, n, n) + product(m, m, n);
  const double covariances = product(m, n, m) + m * m + product(n, m, n) + n * n;
  double refresh = 2 * rotation;
  for (const double side : {m, n}) {
    double reflections = 0;  // each a dot product and what it takes away, found for the rows below and applied to them
    for (double length = 1; length <= side; ++length) reflections += 2 * 4 * length * length;
    // The closed form leaves lower orders of the side out.
    EXPECT_NEAR(reflections / (8 * std::pow(side, 3) / 3), 1, 0.06);
    refresh += product(side, side, side) + 3 * side * side + 8 * std::pow(side, 3) / 3;
  }
  const double each = 2 * rotation + covariances + m * n * (1 + 3 + 4 + 5 + 3);
  EXPECT_NEAR(kSoap.flops(32, 48, 1), each + refresh, 1e-6);
  EXPECT_NEAR(kSoap.flops(32, 48, 10), each + refresh / 10, 1e-6);
  // A side beyond the largest is not rotated: its covariance and basis cost nothing.
  EXPECT_LT(kSoap.flops(4096, 8, 1),
            1.2 * (2 * product(4096, 8, 8) + product(8, 4096, 8) + 16 * 4096 * 8 + 2 * product(4096, 8, 8)));
}

recipe::Recipe default_with(recipe::OptimizerKind kind) {
  recipe::Recipe recipe;
  recipe.optimizer.kind = kind;
  if (kind == recipe::OptimizerKind::kScheduleFree) recipe.schedule.kind = recipe::ScheduleKind::kConstant;
  return recipe;
}

recipe::Size width_64(const recipe::Recipe& recipe) {
  recipe::Size size = recipe::size_for_flops(recipe, 1e13);
  size.width = 64, size.layers = 4, size.heads = size.kv_heads = 64 / recipe.model.head_dim;
  size.feed_forward = 168;
  return size;
}

TEST(StepCosts, OfElementwiseOptimizersAreTermsTimesParameters) {
  struct Case {
    recipe::OptimizerKind kind;
    double each;
  };
  for (const Case& c : {Case{recipe::OptimizerKind::kAdamw, 16},
                        {recipe::OptimizerKind::kLion, 10},
                        {recipe::OptimizerKind::kScheduleFree, 18}}) {
    recipe::Recipe recipe = default_with(c.kind);
    recipe.model.ngram_embeddings = 0;
    const recipe::Size size = width_64(recipe);
    const auto parameters = static_cast<double>(count(recipe, size).parameters);
    EXPECT_DOUBLE_EQ(step_costs(recipe, size).optimizer_flops, (c.each + 2) * parameters);  // 2: the gradient's norm
  }
}

// Planning asks for sizes far beyond the machine's.
TEST(StepCosts, OfAHugeModelTakeNoMoreMemoryThanOfASmallOne) {
  recipe::Recipe recipe;
  recipe.optimizer.kind = recipe::OptimizerKind::kAdamw;
  const recipe::Size size = recipe::size_for_flops(recipe, 1e27);
  const auto parameters = static_cast<double>(count(recipe, size).parameters);
  EXPECT_GT(parameters, 1e12);
  EXPECT_GT(step_costs(recipe, size).optimizer_flops, parameters);
}

TEST(StepCosts, OfMuonTakeFusedMatricesApart) {
  recipe::Recipe recipe = default_with(recipe::OptimizerKind::kMuon);
  recipe.model.ngram_embeddings = 0;
  const recipe::Size size = width_64(recipe);
  const double layer = 4 * kMuon.flops(64, 64, 1) + 2 * kMuon.flops(168, 64, 1) + kMuon.flops(64, 168, 1);
  const double in_matrices = 4 * 64 * 64 + 3 * 168 * 64;
  const auto all = static_cast<double>(count(recipe, size).parameters);
  EXPECT_DOUBLE_EQ(step_costs(recipe, size).optimizer_flops, 4 * layer + 16 * (all - 4 * in_matrices) + 2 * all);
}

TEST(StepCosts, AveragesAndL2DecayAreCountedWhereTheyAre) {
  recipe::Recipe recipe = default_with(recipe::OptimizerKind::kAdamw);
  recipe.model.ngram_embeddings = 0;
  const recipe::Size size = width_64(recipe);
  const double plain = step_costs(recipe, size).optimizer_flops;
  const auto all = static_cast<double>(count(recipe, size).parameters);
  recipe.optimizer.averaging = recipe::Averaging::kExponential;
  EXPECT_DOUBLE_EQ(step_costs(recipe, size).optimizer_flops - plain, 3 * all);
  recipe.optimizer.averaging = recipe::Averaging::kNone;
  recipe.optimizer.decay_form = recipe::WeightDecay::kL2;
  recipe.optimizer.weight_decay = 0.1;
  EXPECT_DOUBLE_EQ(step_costs(recipe, size).optimizer_flops - plain, 2 * 4 * (4 * 64 * 64 + 3 * 168 * 64));
}

TEST(StepCosts, HashedTablesAreCountedInBytesAndParameters) {
  recipe::Recipe recipe = default_with(recipe::OptimizerKind::kAdamw);
  recipe.model.ngram_embeddings = 4;
  recipe.model.ngram_rows = 16384;
  recipe::Size size = width_64(recipe);
  size.batch_sequences = 7;
  size.context = 100;
  const protocol::StepCosts costs = step_costs(recipe, size);
  const double tokens_table = 64.0 * size.vocabulary, tables = 3 * 16384 * 64.0 + tokens_table;
  EXPECT_DOUBLE_EQ(costs.table_parameters, tables);
  // A token reads a row of each of four tables, and reads and writes the row of its gradient.
  EXPECT_DOUBLE_EQ(costs.lookup_bytes_per_token, 4 * 64 * 4 * (1 + 2));
  // Gradient: zeroed, read twice; weight, mean and mean square: read and written.
  // Of the hashed tables in the rows that 700 tokens look up at most.
  const double touched = 3 * 700 * 64;
  EXPECT_DOUBLE_EQ(costs.lookup_bytes_per_step, (touched * (3 + 2 + 4 + 6) + tokens_table * (3 + 2 + 4)) * 4);
  recipe::Recipe without = recipe;
  without.model.ngram_embeddings = 0;
  // AdamW's 16 terms and the norm's 2, and 8 for having rested; m, v and w of all rows where the recipe averages.
  EXPECT_DOUBLE_EQ(costs.optimizer_flops - step_costs(without, size).optimizer_flops, touched * (16 + 2 + 8));
  recipe.optimizer.averaging = without.optimizer.averaging = recipe::Averaging::kExponential;
  EXPECT_DOUBLE_EQ(step_costs(recipe, size).optimizer_flops - step_costs(without, size).optimizer_flops,
                   3 * 16384 * 64.0 * (16 + 2 + 3));
  EXPECT_DOUBLE_EQ(costs.artifact_bytes, 4.0 * static_cast<double>(count(recipe, size).parameters));
}

TEST(StepCosts, OfEveryBlockCoverExactlyTheParametersThatTheRecipeCounts) {
  for (const flywheel::testing::SmallModel& model : flywheel::testing::all_small_models()) {
    const protocol::StepCosts costs = step_costs(model.recipe, model.size);
    EXPECT_DOUBLE_EQ(costs.artifact_bytes, 4.0 * static_cast<double>(count(model.recipe, model.size).parameters))
        << model.patches;
    EXPECT_GT(costs.optimizer_flops, 0) << model.patches;
  }
}

}  // namespace
}  // namespace flywheel::train
