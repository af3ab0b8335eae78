#include "workload/flywheel/recipe_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/check.h"
#include "recipe/active.h"
#include "recipe/fields.h"

namespace flywheel::workload {
namespace {

constexpr double kReach = 8;      // numbers without a hint: from 1/8 to 8 times the base's value, on a log scale
constexpr double kLogSpan = 100;  // fields whose allowed range spans less than this are searched linearly, all of it
const double kNone = std::numeric_limits<double>::quiet_NaN();

// Values to try; the base's value is always added. Empty: the field is not searched.
const std::map<std::string, std::vector<Json>>& hints() {
  static const std::map<std::string, std::vector<Json>> table = {
      {"model.mixers",
       {"attention", "window,attention", "window,window,window,attention", "gated_delta",
        "gated_delta,gated_delta,gated_delta,attention", "mamba2", "rwkv7"}},
      {"model.head_dim", {8, 16, 32, 64}},
      {"model.kv_group", {1, 2, 4}},
      {"model.attention_softcap", {0, 20, 50}},
      {"model.window", {16, 32, 64, 128}},
      {"model.latent_dim", {0, 16, 32, 64}},
      {"model.rope_fraction", {0.25, 0.5, 1}},
      {"model.rope_base", {100, 1000, 10000, 100000, 1000000}},
      {"model.state_dim", {0, 8, 16, 32, 64}},
      {"model.short_convolution", {0, 2, 4}},
      {"model.feed_forward_ratio", {0, 1.5, 2, 3, 4, 6}},
      {"model.experts", {0, 4, 8, 16}},
      {"model.experts_active", {1, 2, 4}},
      {"model.experts_shared", {0, 1}},
      {"model.residual_streams", {1, 2, 4}},
      {"model.ngram_embeddings", {0, 2, 3, 4, 6}},
      {"model.ngram_rows", {1024, 4096, 16384}},
      {"model.logit_softcap", {0, 15, 30}},
      {"model.z_loss", {0, 1e-4, 1e-3}},
      {"model.predicted_tokens", {1, 2, 4}},
      {"model.aspect", {8, 16, 32, 64, 128}},
      {"optimizer.beta1", {0.8, 0.85, 0.9, 0.95}},
      {"optimizer.beta2", {0.9, 0.95, 0.98, 0.99, 0.999}},
      {"optimizer.momentum", {0.85, 0.9, 0.95, 0.98}},
      {"optimizer.weight_decay", {0, 0.01, 0.03, 0.1, 0.3, 1}},
      {"optimizer.gradient_clip", {0, 0.3, 1, 3}},
      {"optimizer.average_decay", {0.95, 0.98, 0.99, 0.995}},
      {"schedule.warmup_steps", {0, 5, 10, 20, 50, 100}},
      {"schedule.final_fraction", {0, 0.03, 0.1}},
      {"schedule.batch_ramp_fraction", {0, 0.1, 0.3}},
      {"schedule.batch_ramp_start", {0.125, 0.25, 0.5}},
      // Not the search's to change: they move the problem (data, what is compared), or only rename another field.
      {"model.context", {}},
      {"data.tokenizer", {}},
      {"scaling.base_flops", {}},
      {"scaling.batch_exponent", {}},
      {"initialisation.base_width", {}},
      {"initialisation.base_depth", {}},
      {"optimizer.epsilon", {}},
  };
  return table;
}

void make_list(SearchField& field, std::vector<Json> values) {
  const bool numbers = std::all_of(values.begin(), values.end(), [](const Json& v) { return v.is_number(); });
  field.axis = numbers ? Axis::kOrdinal : Axis::kCategorical;
  if (numbers)
    std::sort(values.begin(), values.end(),
              [](const Json& a, const Json& b) { return a.get<double>() < b.get<double>(); });
  for (Json& value : values)
    if (std::none_of(field.choices.begin(), field.choices.end(), [&](const Json& v) { return v == value; }))
      field.choices.push_back(std::move(value));
}

std::optional<SearchField> make_field(const recipe::RecipeField& row, const Json& base_value,
                                      const std::vector<Json>& extra) {
  SearchField field;
  field.name = row.full_name();
  std::vector<Json> values;
  const auto hint = hints().find(field.name);
  if (hint != hints().end() && hint->second.empty() && extra.empty()) return std::nullopt;
  if (row.kind == recipe::FieldKind::kBoolean)
    values = {false, true};
  else if (row.kind == recipe::FieldKind::kChoice)
    values.assign(row.choices.begin(), row.choices.end());
  else if (hint != hints().end())
    values = hint->second;
  if (!values.empty() || hint != hints().end()) {
    values.push_back(base_value);
    values.insert(values.end(), extra.begin(), extra.end());
    make_list(field, std::move(values));
    if (field.choices.size() < 2) return std::nullopt;
    return field;
  }
  if (row.kind != recipe::FieldKind::kReal && row.kind != recipe::FieldKind::kInteger) return std::nullopt;
  const double usual = base_value.get<double>();
  const bool whole = row.kind == recipe::FieldKind::kInteger;
  if (row.low > 0 || row.high > kLogSpan) {
    if (usual <= 0) return std::nullopt;  // switched off, with no hint for the range of values when on
    field.axis = whole ? Axis::kLogInteger : Axis::kLog;
    field.low = std::max({row.low, usual / kReach, whole ? 1.0 : 0.0});
    field.high = std::min(row.high, usual * kReach);
  } else {
    field.axis = whole ? Axis::kInteger : Axis::kLinear;
    field.low = row.low;
    field.high = row.high;
  }
  for (const Json& value : extra) {
    const double number = value.get<double>();
    if (number <= 0 && field.axis == Axis::kLog) field.axis = Axis::kLinear;
    if (number <= 0 && field.axis == Axis::kLogInteger) field.axis = Axis::kInteger;
    field.low = std::min(field.low, number);
    field.high = std::max(field.high, number);
  }
  if (!(field.low < field.high)) return std::nullopt;
  return field;
}

// Values that patches mention, per field; invalid patches are skipped here and refused elsewhere.
std::map<std::string, std::vector<Json>> patched_values(const recipe::Recipe& base,
                                                        const std::vector<std::string>& patches) {
  std::map<std::string, std::vector<Json>> values;
  for (const std::string& patch : patches) {
    recipe::Recipe changed = base;
    try {
      const auto [name, text] = split_patch(patch);
      // Set alone: whether it goes with the rest of the recipe is not asked here.
      const size_t dot = name.find('.');
      if (dot == std::string::npos) continue;
      const recipe::RecipeField* field = recipe::find_field(name.substr(0, dot), name.substr(dot + 1));
      if (field == nullptr) continue;
      std::optional<Json> parsed = parse_json_or_none(text);
      if (field->kind == recipe::FieldKind::kChoice || field->kind == recipe::FieldKind::kText ||
          field->kind == recipe::FieldKind::kPattern)
        parsed = text;
      if (!parsed) continue;
      recipe::set_field(changed, field->section, field->name, *parsed, "patch");
      values[name].push_back(field->get(changed));
    } catch (const Error&) {
      continue;
    }
  }
  return values;
}

std::vector<SearchField> make_fields(const recipe::Recipe& base, const std::vector<std::string>& extra) {
  validate(base, "search space");
  const auto patched = patched_values(base, extra);
  std::vector<SearchField> fields;
  for (const recipe::RecipeField& row : recipe::recipe_fields()) {
    const auto wanted = patched.find(row.full_name());
    auto field = make_field(row, row.get(base), wanted == patched.end() ? std::vector<Json>() : wanted->second);
    if (!field) continue;
    const Json base_value = row.get(base);
    field->usual = base_value.is_number() ? base_value.get<double>() : 0;
    for (size_t i = 0; i < field->choices.size(); ++i)
      if (field->choices[i] == base_value) field->usual = static_cast<double>(i);
    fields.push_back(std::move(*field));
  }
  return fields;
}

const recipe::RecipeField& row_of(const SearchField& field) {
  const size_t dot = field.name.find('.');
  const recipe::RecipeField* row = recipe::find_field(field.name.substr(0, dot), field.name.substr(dot + 1));
  CHECK(row != nullptr, "{} is no field of a recipe", field.name);
  return *row;
}

}  // namespace

RecipeSpace::RecipeSpace(const recipe::Recipe& base, const std::vector<std::string>& extra)
    : ConfigurationSpace(make_fields(base, extra)), base_(base) {
  for (const SearchField& field : fields()) {
    rows_.push_back(&row_of(field));
    const auto conditions = recipe::field_conditions();
    const auto condition =
        std::find_if(conditions.begin(), conditions.end(), [&](auto& row) { return row.field == field.name; });
    CHECK(condition != conditions.end(), "{} has no row in the table of active conditions", field.name);
    active_.push_back(condition->active);
  }
}

// An inactive field takes its default, as validate() requires.
recipe::Recipe RecipeSpace::unchecked(const Values& values) const {
  static const recipe::Recipe kDefault;
  recipe::Recipe recipe = base_;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] != fields()[i].usual)  // else it is the base's
      rows_[i]->set(recipe, std::isnan(values[i]) ? rows_[i]->get(kDefault) : fields()[i].json(values[i]));
  return recipe;
}

Values RecipeSpace::canonical(Values values) const {
  values.resize(fields().size(), kNone);
  for (size_t i = 0; i < values.size(); ++i) values[i] = fitted(i, values[i]);
  const recipe::Recipe recipe = unchecked(values);
  for (size_t i = 0; i < values.size(); ++i)
    if (active_[i] != nullptr && !active_[i](recipe)) values[i] = kNone;
  return values;
}

recipe::Recipe RecipeSpace::recipe(const Values& values) const {
  recipe::Recipe recipe = unchecked(values);
  validate(recipe, "proposal");
  return recipe;
}

ConfigurationPtr RecipeSpace::configuration(const Values& values) const {
  return make_configuration(recipe(values));
}

Values RecipeSpace::values_of(const Configuration& configuration) const {
  return values_of(recipe_of(configuration));
}

std::vector<std::string> RecipeSpace::patches_from(const Configuration& from, const Values& values) const {
  return patches_from(recipe_of(from), values);
}

std::string RecipeSpace::identity(const Values& values) const {
  return recipe::recipe_hash(unchecked(values));
}

std::string RecipeSpace::refusal(const Values& values) const {
  try {
    recipe(values);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::vector<std::string> RecipeSpace::patches(const Values& values) const {
  return patches_from(base_, values);
}

std::vector<std::string> RecipeSpace::patches_from(const recipe::Recipe& from, const Values& values) const {
  const recipe::Recipe changed = unchecked(values);
  std::vector<std::string> patches;
  for (const SearchField& field : fields()) {
    const recipe::RecipeField& row = row_of(field);
    if (row.get(changed) != row.get(from)) patches.push_back(field.name + "=" + recipe::field_text(row, changed));
  }
  return patches;
}

Values RecipeSpace::values_of(const recipe::Recipe& recipe) const {
  Values values(fields().size(), kNone);
  for (size_t i = 0; i < values.size(); ++i) {
    const SearchField& field = fields()[i];
    if (!recipe::is_active(recipe, field.name)) continue;
    const Json value = row_of(field).get(recipe);
    if (!field.is_list()) {
      values[i] = value.get<double>();
      continue;
    }
    const auto choice = std::find(field.choices.begin(), field.choices.end(), value);
    if (choice != field.choices.end()) values[i] = static_cast<double>(choice - field.choices.begin());
  }
  return values;
}

Values RecipeSpace::parse(const std::vector<std::string>& patches) const {
  std::map<std::string, std::string> seen;
  for (const std::string& patch : patches) {
    const auto [name, text] = split_patch(patch);
    const auto [old, fresh] = seen.emplace(name, text);
    if (!fresh && old->second != text)
      throw_bad_input("patches \"{}={}\" and \"{}\" contradict each other", name, old->second, patch);
  }
  const recipe::Recipe changed = recipe::apply_patches(base_, patches);
  const Values values = values_of(changed);
  if (recipe::recipe_hash(unchecked(values)) != recipe::recipe_hash(changed))
    throw_bad_input("patches \"{}\": the space of this search does not hold them", fmt::join(patches, "\", \""));
  return values;
}

}  // namespace flywheel::workload
