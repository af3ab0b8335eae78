// The table of recipe fields, which TOML, JSON, patches, validation, differences and the docs all walk. A new field
// takes its member in recipe.h, a row in fields.cc and a row in the table of active conditions (active.cc).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "recipe/recipe.h"

namespace flywheel::recipe {

enum class FieldKind { kReal, kInteger, kBoolean, kText, kChoice, kPattern };  // kPattern: choices, comma-separated

struct RecipeField {
  std::string section, name;
  FieldKind kind;
  double low = 0, high = 0;          // inclusive; numbers only
  std::vector<std::string> choices;  // allowed values, or parts of kPattern
  std::string doc;
  std::function<Json(const Recipe&)> get;
  std::function<void(Recipe&, const Json&)> set;  // REQUIRES a value that check_field_value accepted

  std::string full_name() const { return section + "." + name; }
  std::string expected() const;  // "a number from 0 to 1"
};

std::span<const RecipeField> recipe_fields();

// Sets the field after checking type and range; `where` is the file, with the line where known. Throws kBadInput.
void set_field(Recipe& recipe, const std::string& section, const std::string& name, const Json& value,
               const std::string& where);
// Null when there is no such field.
const RecipeField* find_field(std::string_view section, std::string_view name);
[[noreturn]] void throw_unknown_field(const std::string& section, const std::string& name, const std::string& where);
[[noreturn]] void throw_unknown_section(const std::string& name, const std::string& where);
// A value as people write it: 0.02, true, muon.
std::string field_text(const RecipeField& field, const Recipe& recipe);

}  // namespace flywheel::recipe
