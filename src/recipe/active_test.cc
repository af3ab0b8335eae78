#include "recipe/active.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "testing/recipe_contexts.h"

namespace flywheel::recipe {
namespace {

TEST(ActiveConditions, HaveARowForEveryFieldInItsOrder) {
  ASSERT_EQ(field_conditions().size(), recipe_fields().size());
  for (size_t i = 0; i < recipe_fields().size(); ++i) {
    EXPECT_EQ(field_conditions()[i].field, recipe_fields()[i].full_name());
    EXPECT_EQ(field_conditions()[i].active == nullptr, field_conditions()[i].where.empty())
        << field_conditions()[i].field;
  }
}

// The first of the fields that decide, as the row names it.
std::string deciding_field(const FieldCondition& condition) {
  size_t start = std::string::npos;
  for (const RecipeField& field : recipe_fields()) start = std::min(start, condition.where.find(field.full_name()));
  return std::string(condition.where.substr(start, condition.where.find_first_of(" ,;", start) - start));
}

std::string refusal_of(const Recipe& recipe) {
  try {
    refuse_inactive_fields(recipe, "r.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "";
}

TEST(ActiveConditions, EveryFieldIsRefusedWhereItIsInactiveNamingBothAndTakenElsewhere) {
  for (size_t i = 0; i < recipe_fields().size(); ++i) {
    const RecipeField& field = recipe_fields()[i];
    const FieldCondition& condition = field_conditions()[i];
    if (field.choices.size() == 1) continue;
    int taken = 0, refused = 0;
    for (const std::vector<std::string>& context : testing::recipe_contexts()) {
      SCOPED_TRACE(field.full_name() + " in " + ::testing::PrintToString(context));
      const Recipe base = apply_patches(Recipe(), context);
      Recipe changed = base;
      field.set(changed, testing::other_value(field, Recipe()));
      if (field.get(changed) == field.get(base)) continue;
      const std::string refusal = refusal_of(changed), about = "r.toml: field \"" + field.full_name() + "\"";
      if (is_active(changed, condition.field)) {
        EXPECT_TRUE(refusal.find(about) == std::string::npos) << refusal;
        ++taken;
      } else {
        EXPECT_THAT(refusal,
                    ::testing::AllOf(::testing::HasSubstr(about), ::testing::HasSubstr(deciding_field(condition))));
        ++refused;
      }
    }
    EXPECT_GT(taken, 0) << field.full_name();
    EXPECT_EQ(refused > 0, condition.active != nullptr) << field.full_name();
  }
}

}  // namespace
}  // namespace flywheel::recipe
