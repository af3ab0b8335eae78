#include "engine/train/costs.h"

#include <algorithm>

#include "engine/train/optimizer_plan.h"
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

constexpr double kFloat = sizeof(float);
// What an element of a row that rested is brought up to date with: a root and its argument, epsilon, a division, the
// step (2) and what the moments fade by (2).
constexpr double kRestFlops = 8;
constexpr double kNormFlops = 2, kDecayFlops = 2, kAverageFlops = 3;  // of an element

// The optimizer's passes over a value: the gradient is zeroed, read for its norm and for the update; the weight and the
// planes of the state are read and written.
double pass_bytes(const UpdateRule& rule, bool averages) {
  return kFloat * (3 + 2 + 2 * rule.planes + (averages ? 2 : 0));
}

}  // namespace

protocol::StepCosts step_costs(const recipe::Recipe& recipe, const recipe::Size& size) {
  const std::vector<model::ParameterInfo> parameters = model::parameters_of(recipe, size);
  // In pieces as large as can be: sizes far beyond this machine are asked for too.
  const OptimizerPlan plan(recipe, size, parameters, /*elements=*/0, tensor::Dtype::kFloat32, /*threads=*/1,
                           /*run=*/INT64_MAX);
  protocol::StepCosts costs;
  for (const model::ParameterInfo& parameter : parameters) {
    costs.artifact_bytes += kFloat * static_cast<double>(parameter.shape.elements());
    if (parameter.group != model::ParameterGroup::kEmbedding) continue;
    // A row for each token: read, and its gradient read and written.
    costs.lookup_bytes_per_token += 3 * kFloat * static_cast<double>(parameter.shape[1]);
  }
  // With a tied head the table of tokens is a matrix, and is read as one.
  const auto is_matrix = [&](const OptimizerPiece& piece) {
    const auto tokens = std::find_if(parameters.begin(), parameters.end(),
                                     [](const auto& parameter) { return parameter.name == "embedding.tokens"; });
    return recipe.model.tied_head && piece.offset >= tokens->offset &&
           piece.offset < tokens->offset + tokens->shape.elements();
  };
  const bool averages = recipe.optimizer.averaging != recipe::Averaging::kNone;
  for (const OptimizerPiece& piece : plan.pieces) {
    const auto elements = static_cast<double>(piece.elements());
    double each = kNormFlops + (averages ? kAverageFlops : 0);
    if (recipe.optimizer.decay_form == recipe::WeightDecay::kL2 && piece.weight_decay != 0) each += kDecayFlops;
    costs.optimizer_flops +=
        piece.rule->flops(piece.rows, piece.columns, recipe.optimizer.soap_interval) + each * elements;
    if (piece.group != model::ParameterGroup::kEmbedding || is_matrix(piece)) continue;
    costs.table_parameters += elements;
    costs.lookup_bytes_per_step += elements * pass_bytes(*piece.rule, averages || keeps_average(recipe));
  }
  // Of a hashed table only the rows that a step looks up: at most one for each token.
  const double tokens = static_cast<double>(size.batch_sequences) * size.context;
  for (const TablePiece& table : plan.tables) {
    const double touched = static_cast<double>(table.columns) * std::min(tokens, static_cast<double>(table.rows));
    costs.optimizer_flops += kAdamw.flops(1, 1, 1) * touched + (kNormFlops + kRestFlops) * touched;
    costs.table_parameters += static_cast<double>(table.elements());
    // And once more the weight and both moments, which a row that rested is brought up to date with.
    costs.lookup_bytes_per_step += touched * (pass_bytes(kAdamw, false) + kFloat * 6);
  }
  return costs;
}

}  // namespace flywheel::train
