#include "recipe/recipe.h"

#include <toml++/toml.h>

#include <charconv>
#include <cmath>
#include <sstream>

#include "base/csv.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "base/toml_text.h"
#include "recipe/fields.h"

namespace flywheel::recipe {
namespace {

// Scalars only; everything else becomes a text that no field accepts and that names what was found.
Json json_of(const toml::node& node) {
  if (const auto* value = node.as_string()) return Json(value->get());
  if (const auto* value = node.as_integer()) return Json(value->get());
  if (const auto* value = node.as_floating_point()) {
    if (!std::isfinite(value->get())) return Json(std::isnan(value->get()) ? "nan" : "inf");
    return Json(value->get());
  }
  if (const auto* value = node.as_boolean()) return Json(value->get());
  if (node.is_table()) return Json::object();
  if (node.is_array()) return Json::array();
  return Json("a date or time");
}

// The text after the equals sign as a value of the field's kind.
Json json_of_text(const RecipeField& field, std::string_view text) {
  if (field.kind == FieldKind::kBoolean) {
    if (text == "true") return Json(true);
    if (text == "false") return Json(false);
  } else if (field.kind == FieldKind::kInteger || field.kind == FieldKind::kReal) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end && std::isfinite(number)) return Json(number);
  }
  return Json(std::string(text));
}

std::string line_of(const std::string& where, const toml::source_region& source) {
  return fmt::format("{}:{}", where, source.begin.line);
}

}  // namespace

Json to_json(const Recipe& recipe) {
  Json json = Json::object();
  for (const RecipeField& field : recipe_fields()) json[field.section][field.name] = field.get(recipe);
  return json;
}

std::string recipe_hash(const Recipe& recipe) {
  return sha256_hex(canonical_json(to_json(recipe)));
}

Recipe recipe_from_json(const Json& json, const std::string& where) {
  if (!json.is_object())
    throw_bad_input("{}: expected a recipe (an object with sections), found {}", where, json.type_name());
  Recipe recipe;
  for (const auto& [section, fields] : json.items()) {
    bool known = false;
    for (const RecipeField& field : recipe_fields()) known = known || field.section == section;
    if (!known) throw_unknown_section(section, where);
    if (!fields.is_object())
      throw_bad_input("{}: section \"{}\": expected an object of fields, found {}", where, section, fields.type_name());
    for (const auto& [name, value] : fields.items()) set_field(recipe, section, name, value, where);
  }
  validate(recipe, where);
  return recipe;
}

Recipe recipe_from_toml(std::string_view text, const std::string& where) {
  check_toml_text(text, where);
  toml::table root;
  try {
    root = toml::parse(text, where);
  } catch (const toml::parse_error& e) {
    throw_bad_input("{}: not valid TOML: {}", line_of(where, e.source()), e.description());
  }
  Recipe recipe;
  for (const auto& [section_key, section_node] : root) {
    const std::string section(section_key.str());
    const std::string place = line_of(where, section_key.source());
    bool known = false;
    for (const RecipeField& field : recipe_fields()) known = known || field.section == section;
    if (!known) throw_unknown_section(section, place);
    const toml::table* fields = section_node.as_table();
    if (fields == nullptr)
      throw_bad_input("{}: \"{}\": expected a section [{}], found a value", place, section, section);
    for (const auto& [key, node] : *fields)
      set_field(recipe, section, std::string(key.str()), json_of(node), line_of(where, key.source()));
  }
  validate(recipe, where);
  return recipe;
}

Recipe load_recipe(const Path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw_bad_input("recipe {}: no such file", path.string());
  if (!std::filesystem::is_regular_file(status))
    throw_bad_input("recipe {}: expected a TOML file, found something else", path.string());
  std::string text;
  try {
    text = real_file_system().read(path);
  } catch (const Error& e) {
    throw Error(ErrorCode::kBadInput, e.what());
  }
  return recipe_from_toml(text, path.string());
}

std::string to_toml(const Recipe& recipe) {
  std::string text = "# A Flywheel recipe: everything about a training run except its size.\n";
  std::string section;
  for (const RecipeField& field : recipe_fields()) {
    if (field.section != section) {
      section = field.section;
      text += fmt::format("\n[{}]\n", section);
    }
    std::string value = field_text(field, recipe);
    if (field.get(recipe).is_string()) value = fmt::format("\"{}\"", value);
    const std::string choices = field.choices.size() > 1 ? fmt::format(" ({})", fmt::join(field.choices, ", ")) : "";
    text += fmt::format("{:<39} # {}{}\n", fmt::format("{} = {}", field.name, value), field.doc, choices);
  }
  return text;
}

namespace {

void set_patch(Recipe& recipe, std::string_view patch) {
  const std::string where = fmt::format("patch \"{}\"", patch);
  const size_t equals = patch.find('=');
  const size_t dot = patch.substr(0, equals).find('.');
  if (equals == std::string_view::npos || dot == std::string_view::npos)
    throw_bad_input("{}: expected section.field=value, as in optimizer.learning_rate=0.01", where);
  const std::string section(patch.substr(0, dot)), name(patch.substr(dot + 1, equals - dot - 1));
  const RecipeField* field = find_field(section, name);
  if (field == nullptr) {
    bool known = false;
    for (const RecipeField& other : recipe_fields()) known = known || other.section == section;
    if (!known) throw_unknown_section(section, where);
    throw_unknown_field(section, name, where);
  }
  set_field(recipe, section, name, json_of_text(*field, patch.substr(equals + 1)), where);
}

}  // namespace

Recipe apply_patch(const Recipe& recipe, std::string_view patch) {
  return apply_patches(recipe, {std::string(patch)});
}

void check_patch(std::string_view patch) {
  Recipe any;
  const size_t factor = patch.find("*=");
  if (factor == std::string_view::npos) return set_patch(any, patch);
  const std::string_view name = patch.substr(0, factor);
  for (const RecipeField& field : recipe_fields()) {
    if (field.full_name() != name) continue;
    if (!field.get(any).is_number()) throw_bad_input("patch \"{}\": {} is no number", patch, name);
    const auto number = number_in_cell(std::string(patch.substr(factor + 2)));
    if (!number || !(*number > 0)) throw_bad_input("patch \"{}\": expected a factor above 0 after *=", patch);
    return;
  }
  set_patch(any, fmt::format("{}=0", name));  // says which fields there are
}

Recipe apply_patches(const Recipe& recipe, const std::vector<std::string>& patches) {
  Recipe changed = recipe;
  for (const std::string& patch : patches) set_patch(changed, patch);
  validate(changed, fmt::format("patch \"{}\"", fmt::join(patches, "\", \"")));
  return changed;
}

std::vector<std::string> recipe_difference(const Recipe& from, const Recipe& to) {
  std::vector<std::string> differences;
  for (const RecipeField& field : recipe_fields())
    if (field.get(from) != field.get(to))
      differences.push_back(
          fmt::format("{}: {} -> {}", field.full_name(), field_text(field, from), field_text(field, to)));
  return differences;
}

}  // namespace flywheel::recipe
