#include "workload/flywheel/recipe_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "recipe/fields.h"
#include "workload/space.h"

namespace flywheel::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename F>
std::string refusal(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

SearchSpace small_space() {
  return SearchSpace({{"kind", Axis::kCategorical, 0, 1, {"plain", "fancy"}, {}, {}},
                      {"rate", Axis::kLog, 1e-4, 1e-1, {}, {}, {}},
                      {"extra", Axis::kInteger, 1, 9, {}, Condition{0, {1}}, {}}});
}

TEST(SearchSpace, FieldExistsOnlyWhereItsConditionHolds) {
  const SearchSpace space = small_space();
  const Values without = space.canonical({0, 0.01, 5}), with = space.canonical({1, 0.01, 5});
  EXPECT_TRUE(std::isnan(without[2]));
  EXPECT_EQ(with[2], 5);
  EXPECT_EQ(space.identity(without), space.identity(space.canonical({0, 0.01, 7})));
  EXPECT_NE(space.identity(with), space.identity(space.canonical({1, 0.01, 7})));
  EXPECT_THAT(space.patches(without), ElementsAre("kind=plain", "rate=0.01"));
}

TEST(SearchSpace, PatchesReadBackToTheSamePoint) {
  const SearchSpace space = small_space();
  Rng rng(3);
  for (int i = 0; i < 200; ++i) {
    const Values values = space.sample(rng);
    EXPECT_EQ(space.identity(space.parse(space.patches(values))), space.identity(values));
  }
}

TEST(SearchSpace, PatchesThatMakeNoSenseAreRefusedByName) {
  const SearchSpace space = small_space();
  EXPECT_THAT(refusal([&] { space.parse({"rat=0.01"}); }), HasSubstr("did you mean \"rate\""));
  EXPECT_THAT(refusal([&] { space.parse({"rate"}); }), HasSubstr("expected field=value"));
  EXPECT_THAT(refusal([&] { space.parse({"rate=7"}); }), HasSubstr("from 0.0001 to 0.1"));
  EXPECT_THAT(refusal([&] { space.parse({"rate=0.01", "rate=0.02"}); }), HasSubstr("contradict"));
  EXPECT_THAT(refusal([&] { space.parse({"kind=plain", "extra=3"}); }), HasSubstr("does not exist"));
  EXPECT_THAT(refusal([&] { SearchSpace({{"x", Axis::kLog, 0, 1, {}, {}, {}}}); }), HasSubstr("above 0"));
}

TEST(SearchSpace, OrdinalsOverADecadeAreSpacedInLogs) {
  const SearchField field{"batch", Axis::kOrdinal, 0, 1, {32, 64, 128, 2048}, {}, {}};
  EXPECT_NEAR(field.unit(1), 1.0 / 6, 1e-12);
  EXPECT_EQ(field.at_unit(0.2), 1);
  EXPECT_EQ(field.at_unit(0.9), 3);
}

TEST(SearchSpace, NeighbourMovesOneFieldAndStaysInRange) {
  const SearchSpace space = small_space();
  Rng rng(5);
  Values at = space.canonical({1, 1e-4, 1});
  for (int i = 0; i < 300; ++i) {
    const size_t field = rng.below(3);
    const Values moved = space.neighbour(at, field, 0.1, rng);
    EXPECT_NE(space.identity(moved), space.identity(at)) << "field " << field << ", draw " << i;
    EXPECT_EQ(space.identity(space.canonical(moved)), space.identity(moved));
    // The field that does not exist hands over to the first.
    const size_t turn = field == 2 && std::isnan(at[2]) ? 0 : field;
    for (size_t f = 0; f < 2; ++f) EXPECT_EQ(moved[f] != at[f], f == turn);
    at = moved;
  }
}

TEST(RecipeSpace, EverySampleIsARecipeAndReadsBack) {
  const RecipeSpace space{recipe::Recipe()};
  Rng rng(7);
  std::set<std::string> hashes;
  for (int i = 0; i < 100; ++i) {
    const Values values = space.sample(rng);
    ASSERT_EQ(space.refusal(values), "");
    const recipe::Recipe recipe = space.recipe(values);
    EXPECT_EQ(recipe::recipe_hash(recipe), space.identity(values));
    EXPECT_EQ(recipe::recipe_hash(recipe::apply_patches(space.base(), space.patches(values))), space.identity(values));
    EXPECT_EQ(space.identity(space.values_of(recipe)), space.identity(values));
    hashes.insert(space.identity(values));
  }
  EXPECT_EQ(hashes.size(), 100U);
}

TEST(RecipeSpace, StartsAtTheRecipeOfToday) {
  recipe::Recipe base;
  base.optimizer.learning_rate = 0.013;
  base.optimizer.kind = recipe::OptimizerKind::kAdamw;
  base.optimizer.adam_learning_rate = recipe::Recipe().optimizer.adam_learning_rate;
  base.optimizer.momentum = recipe::Recipe().optimizer.momentum;
  const RecipeSpace space(base);
  EXPECT_EQ(space.identity(space.centre()), recipe::recipe_hash(base));
  EXPECT_TRUE(space.patches(space.centre()).empty());
}

TEST(RecipeSpace, FieldsThatNothingReadsDoNotExist) {
  const RecipeSpace space{recipe::Recipe()};
  Values values = space.centre();
  size_t kind = 0, momentum = 0;
  for (size_t i = 0; i < space.fields().size(); ++i) {
    if (space.fields()[i].name == "optimizer.kind") kind = i;
    if (space.fields()[i].name == "optimizer.momentum") momentum = i;
  }
  EXPECT_FALSE(std::isnan(values[momentum]));
  values[kind] = 0;  // adamw
  values = space.canonical(values);
  EXPECT_TRUE(std::isnan(values[momentum]));
  EXPECT_EQ(space.recipe(values).optimizer.kind, recipe::OptimizerKind::kAdamw);
}

TEST(RecipeSpace, ListedPatchesWidenTheSpace) {
  const std::vector<std::string> listed = {"optimizer.learning_rate=3", "model.head_dim=24", "nonsense=1"};
  const RecipeSpace narrow{recipe::Recipe()}, wide(recipe::Recipe(), listed);
  EXPECT_THAT(refusal([&] { narrow.parse({"model.head_dim=24"}); }), HasSubstr("does not hold"));
  EXPECT_EQ(wide.recipe(wide.parse({"optimizer.learning_rate=3"})).optimizer.learning_rate, 3);
  EXPECT_EQ(wide.recipe(wide.parse({"model.head_dim=24"})).model.head_dim, 24);
  EXPECT_THAT(refusal([&] { wide.parse({"model.head_dim=24", "model.head_dim=32"}); }), HasSubstr("contradict"));
  EXPECT_THAT(refusal([&] { wide.parse({"model.colour=1"}); }), HasSubstr("unknown field"));
}

}  // namespace
}  // namespace flywheel::workload
