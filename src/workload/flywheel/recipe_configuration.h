// A recipe as a workload's configuration, and a size of it as a run's: what the lab hands around without looking
// inside.
#pragma once

#include <memory>
#include <string>

#include "recipe/recipe.h"
#include "recipe/size.h"
#include "workload/workload.h"

namespace flywheel::workload {

class RecipeConfiguration final : public Configuration {
 public:
  explicit RecipeConfiguration(const recipe::Recipe& recipe);
  const std::string& identity() const override { return hash_; }
  const recipe::Recipe& recipe() const { return recipe_; }

 private:
  recipe::Recipe recipe_;
  std::string hash_;
};

ConfigurationPtr make_configuration(const recipe::Recipe& recipe);
// REQUIRES a configuration of this workload.
const recipe::Recipe& recipe_of(const Configuration& configuration);

SizedRun sized_run(const recipe::Recipe& recipe, const recipe::Size& size);
// REQUIRES a run of this workload.
const recipe::Size& size_of(const SizedRun& run);

}  // namespace flywheel::workload
