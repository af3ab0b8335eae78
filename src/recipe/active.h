// Active conditions: in which recipes a field has an effect. A field that differs from its default where it is inactive
// is refused, naming it and the field that decides, so that no setting is ignored silently. Defaults are never refused.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "recipe/recipe.h"

namespace flywheel::recipe {

struct FieldCondition {
  std::string_view field;  // "section.name"
  // Whether the field has an effect in this recipe. Null: in every recipe.
  bool (*active)(const Recipe&) = nullptr;
  std::string_view where = {};  // the condition in words, after "only with"; names the deciding fields
};

// One row per recipe field, in the order of recipe_fields().
std::span<const FieldCondition> field_conditions();

bool is_active(const Recipe& recipe, std::string_view field);

// Throws kBadInput for the first field that differs from its default and is inactive.
void refuse_inactive_fields(const Recipe& recipe, const std::string& where);

}  // namespace flywheel::recipe
