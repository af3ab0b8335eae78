#include "workload/flywheel/recipe_configuration.h"

#include "base/check.h"

namespace flywheel::workload {
namespace {

class RecipeSize final : public SizeDetails {
 public:
  explicit RecipeSize(const recipe::Size& of) : size(of) {}
  recipe::Size size;
};

}  // namespace

RecipeConfiguration::RecipeConfiguration(const recipe::Recipe& recipe)
    : recipe_(recipe), hash_(recipe::recipe_hash(recipe)) {}

ConfigurationPtr make_configuration(const recipe::Recipe& recipe) {
  return std::make_shared<const RecipeConfiguration>(recipe);
}

const recipe::Recipe& recipe_of(const Configuration& configuration) {
  const auto* own = dynamic_cast<const RecipeConfiguration*>(&configuration);
  CHECK(own != nullptr, "a configuration of another workload than the engine's");
  return own->recipe();
}

SizedRun sized_run(const recipe::Recipe& recipe, const recipe::Size& size) {
  SizedRun run;
  run.flops = recipe::training_flops(recipe, size);
  const recipe::Counts counts = count(recipe, size);
  run.parameters = static_cast<double>(counts.matrix_parameters);
  run.total_parameters = static_cast<double>(counts.parameters);
  run.tokens = static_cast<double>(size.tokens());
  run.new_flops = recipe::new_training_flops(recipe, size);
  run.model = fmt::format("{}x{}", size.width, size.layers);
  run.details = std::make_shared<const RecipeSize>(size);
  return run;
}

const recipe::Size& size_of(const SizedRun& run) {
  const auto* own = dynamic_cast<const RecipeSize*>(run.details.get());
  CHECK(own != nullptr, "a run of another workload than the engine's");
  return own->size;
}

}  // namespace flywheel::workload
