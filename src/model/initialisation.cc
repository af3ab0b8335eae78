#include "model/initialisation.h"

#include <cmath>

namespace flywheel::model {

double matrix_initial_sd(const Recipe& recipe, const Size& size, double fan_in, bool writes_residual) {
  const Recipe::Initialisation& rule = recipe.initialisation;
  double sd = rule.standard_deviation;
  if (rule.transfer == Transfer::kMup) sd *= std::sqrt(rule.base_width / fan_in);
  if (writes_residual) sd /= std::sqrt(2.0 * size.layers);
  return sd;
}

double table_initial_sd(const Recipe& recipe) {
  return recipe.initialisation.standard_deviation;
}

}  // namespace flywheel::model
