// Which fields something reads, in which recipes. One rule: a field that was changed and that nothing reads is refused,
// naming it and the field that decides; a default value never is.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "recipe/recipe.h"

namespace flywheel::recipe {

struct FieldReader {
  std::string_view field;  // "section.name"
  // Where it is read: by every recipe when null.
  bool (*reads)(const Recipe&) = nullptr;
  std::string_view where = {};  // the same in words, after "read only with"; names the fields that decide
};

// One row per recipe field, in the order of recipe_fields().
std::span<const FieldReader> field_readers();

bool is_read(const Recipe& recipe, std::string_view field);

// Throws kBadInput for the first field that differs from its default and is not read.
void refuse_unread_fields(const Recipe& recipe, const std::string& where);

}  // namespace flywheel::recipe
