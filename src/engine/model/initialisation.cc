#include "engine/model/initialisation.h"

#include <algorithm>
#include <cmath>

namespace flywheel::model {

double matrix_initial_sd(const recipe::Recipe& recipe, const recipe::Size& size, double fan_in, bool writes_residual) {
  const recipe::Recipe::Initialisation& rule = recipe.initialisation;
  double sd = rule.standard_deviation;
  if (rule.transfer != recipe::Transfer::kStandard) sd *= std::sqrt(rule.base_width / fan_in);
  // CompleteP's multiplier does the rest of the way from base_depth.
  const int depth = rule.transfer == recipe::Transfer::kCompletep ? rule.base_depth : size.layers;
  if (writes_residual) sd /= std::sqrt(2.0 * depth);
  return sd;
}

double initial_element(const ParameterInfo& parameter, Rng& rng, int64_t element) {
  if (parameter.initial_rule) return parameter.initial_rule(rng, element);
  return parameter.initial_sd > 0 ? parameter.initial_sd * rng.normal() : parameter.initial_value;
}

double initial_log_rate(Rng& rng, int64_t) {
  return std::log(1 + 15 * rng.uniform());
}

double initial_step_bias(Rng& rng, int64_t) {
  const double step = std::exp(std::log(1e-3) + std::log(100.0) * rng.uniform());
  return step + std::log(-std::expm1(-step));
}

double initial_share(int64_t element, double width, double depth) {
  constexpr double kPowers[] = {0.2, 0.9, 0.7, 0.7, 0.9, 0.2};  // receptance, decay, key, value, rate, gate
  const auto channels = static_cast<int64_t>(width);
  const double place = static_cast<double>(element % channels) / width;
  return 1 - std::pow(place, kPowers[element / channels] * (1 - depth));
}

double initial_decay_bias(int64_t channel, int64_t channels, double depth) {
  const double place = static_cast<double>(channel) / static_cast<double>(std::max<int64_t>(1, channels - 1));
  return -6.5 + 5 * std::pow(place, 0.85 + std::sqrt(depth));
}

double table_initial_sd(const recipe::Recipe& recipe) {
  return recipe.initialisation.standard_deviation;
}

double residual_multiplier(const recipe::Recipe& recipe, const recipe::Size& size) {
  if (recipe.initialisation.transfer != recipe::Transfer::kCompletep) return 1;
  return static_cast<double>(recipe.initialisation.base_depth) / size.layers;
}

double matrix_weight_decay(const recipe::Recipe& recipe, const recipe::Size& size) {
  const double decay = recipe.optimizer.weight_decay;
  const bool follows_rate = recipe.optimizer.decay_form == recipe::WeightDecay::kDecoupled;
  if (recipe.initialisation.transfer != recipe::Transfer::kCompletep || !follows_rate) return decay;
  return decay / recipe::matrix_rate_factor(recipe, size.width);
}

double adam_epsilon(const recipe::Recipe& recipe, const recipe::Size& size, bool in_block) {
  const double epsilon = recipe.optimizer.epsilon;
  if (recipe.initialisation.transfer != recipe::Transfer::kCompletep) return epsilon;
  const double width_factor = static_cast<double>(recipe.initialisation.base_width) / size.width;
  return epsilon * width_factor * (in_block ? residual_multiplier(recipe, size) : 1);
}

}  // namespace flywheel::model
