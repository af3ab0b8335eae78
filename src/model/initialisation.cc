#include "model/initialisation.h"

#include <cmath>

namespace flywheel::model {

double matrix_initial_sd(const Recipe& recipe, const Size& size, double fan_in, bool writes_residual) {
  const Recipe::Initialisation& rule = recipe.initialisation;
  double sd = rule.standard_deviation;
  if (rule.transfer != Transfer::kStandard) sd *= std::sqrt(rule.base_width / fan_in);
  // CompleteP's multiplier does the rest of the way from base_depth.
  const int depth = rule.transfer == Transfer::kCompletep ? rule.base_depth : size.layers;
  if (writes_residual) sd /= std::sqrt(2.0 * depth);
  return sd;
}

double table_initial_sd(const Recipe& recipe) {
  return recipe.initialisation.standard_deviation;
}

double residual_multiplier(const Recipe& recipe, const Size& size) {
  if (recipe.initialisation.transfer != Transfer::kCompletep) return 1;
  return static_cast<double>(recipe.initialisation.base_depth) / size.layers;
}

double matrix_weight_decay(const Recipe& recipe, const Size& size) {
  const double decay = recipe.optimizer.weight_decay;
  const bool follows_rate = recipe.optimizer.decay_form == WeightDecay::kDecoupled;
  if (recipe.initialisation.transfer != Transfer::kCompletep || !follows_rate) return decay;
  return decay / matrix_rate_factor(recipe, size.width);
}

double adam_epsilon(const Recipe& recipe, const Size& size, bool in_block) {
  const double epsilon = recipe.optimizer.epsilon;
  if (recipe.initialisation.transfer != Transfer::kCompletep) return epsilon;
  const double width_factor = static_cast<double>(recipe.initialisation.base_width) / size.width;
  return epsilon * width_factor * (in_block ? residual_multiplier(recipe, size) : 1);
}

}  // namespace flywheel::model
