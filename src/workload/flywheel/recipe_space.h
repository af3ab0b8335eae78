// The search space of a recipe: its fields with sensible ranges around the base's values, active conditions from
// recipe/active.h, validity from recipe/validate.cc. A field that is added to the recipe is searched without further
// code; hints in recipe_space.cc give the values to try where the general rule does not fit.
#pragma once

#include <string>
#include <vector>

#include "recipe/fields.h"
#include "recipe/recipe.h"
#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::workload {

// Immutable; safe to share between threads.
class RecipeSpace : public ConfigurationSpace {
 public:
  // `extra`: patches that the space must be able to express, a user's list for instance: they widen ranges and add
  // values. Those that do not parse are left for parse() to refuse. Throws kBadInput for a base that is not valid.
  explicit RecipeSpace(const recipe::Recipe& base, const std::vector<std::string>& extra = {});

  const recipe::Recipe& base() const { return base_; }
  // REQUIRES canonical values. Throws kBadInput where refusal() says so.
  recipe::Recipe recipe(const Values& values) const;
  ConfigurationPtr configuration(const Values& values) const override;
  Values values_of(const Configuration& configuration) const override;
  std::vector<std::string> patches_from(const Configuration& from, const Values& values) const override;

  Values canonical(Values values) const override;
  std::string identity(const Values& values) const override;  // recipe_hash
  std::string refusal(const Values& values) const override;
  // Only what differs from the base.
  std::vector<std::string> patches(const Values& values) const override;
  // Only what differs from `from`, fields that go back to the base's value included.
  std::vector<std::string> patches_from(const recipe::Recipe& from, const Values& values) const;
  Values parse(const std::vector<std::string>& patches) const override;
  // REQUIRES that every searched field of the recipe is within the space.
  Values values_of(const recipe::Recipe& recipe) const;

 private:
  recipe::Recipe unchecked(const Values& values) const;

  std::vector<const recipe::RecipeField*> rows_;         // of the fields
  std::vector<bool (*)(const recipe::Recipe&)> active_;  // null: always
  recipe::Recipe base_;
};

}  // namespace flywheel::workload
