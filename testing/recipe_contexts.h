// Recipes in which every field is read by one of them, and another value for each field: for tests that go through all
// fields.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "recipe/fields.h"

namespace flywheel::testing {

inline std::vector<std::vector<std::string>> recipe_contexts() {
  return {{},
          {"model.mixers=window"},
          {"model.mixers=latent"},
          {"model.mixers=mamba2"},
          {"model.mixers=rwkv7"},
          {"model.mixers=gated_delta,attention", "model.short_convolution=3"},
          {"model.positions=learned"},
          {"model.mixers=gated_linear", "model.positions=none"},
          {"model.experts=4"},
          {"model.experts=2"},
          {"model.experts=4", "model.expert_balance=none"},
          {"model.ngram_embeddings=0"},
          {"optimizer.kind=adamw"},
          {"optimizer.kind=lion", "optimizer.learning_rate=0.001"},
          {"optimizer.kind=soap"},
          {"optimizer.kind=schedule_free", "schedule.kind=constant"},
          {"optimizer.averaging=exponential"},
          {"optimizer.averaging=tail"},
          {"optimizer.weight_decay=0"},
          {"schedule.kind=cosine"},
          {"schedule.kind=constant"},
          {"schedule.decay_fraction=0"},
          {"schedule.batch_ramp_fraction=0.2"},
          {"initialisation.transfer=completep"},
          {"initialisation.transfer=standard"},
          {"scaling.batch_exponent=0"}};
}

// A legal value of the field other than that of `recipe`.
inline Json other_value(const recipe::RecipeField& field, const recipe::Recipe& recipe) {
  const Json now = field.get(recipe);
  switch (field.kind) {
    case recipe::FieldKind::kBoolean:
      return !now.get<bool>();
    case recipe::FieldKind::kText:
    case recipe::FieldKind::kChoice:
    case recipe::FieldKind::kPattern:
      return field.choices[0] == now.get<std::string>() && field.choices.size() > 1 ? field.choices[1]
                                                                                    : field.choices[0];
    case recipe::FieldKind::kInteger:
      return now.get<int>() > 7 ? now.get<int>() / 2 : now.get<int>() + 2;
    case recipe::FieldKind::kReal:
      break;
  }
  const double value = now.get<double>();
  return value == 0 ? 0.25 : value * 0.25 < field.low ? value * 2 : value * 0.25;
}

inline std::string set_patch(const recipe::RecipeField& field, const Json& value) {
  return field.full_name() + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
}

}  // namespace flywheel::testing
