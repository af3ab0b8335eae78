// Nothing in a recipe is ignored silently: a field that may be changed changes the sizes or what training makes.
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/train/trainer.h"
#include "recipe/active.h"
#include "testing/recipe_contexts.h"
#include "testing/temporary_folder.h"
#include "testing/tiny_run.h"

namespace flywheel::train {
namespace {

constexpr int kContext = 80;  // more than the windows

using Weights = std::vector<std::vector<float>>;  // after each step

// Of 12 steps of the smallest model that is at least 32 wide; up to the first step after which they are not those of
// `other`.
Weights trained(const recipe::Recipe& recipe, const data::Corpus& corpus, const Weights& other = {}) {
  recipe::Size size;
  for (const recipe::Size& candidate : family(recipe, 1, 1e9)) {
    size = candidate;
    if (size.width >= 32) break;
  }
  size.vocabulary = 257;
  size.batch_sequences = 1;
  size.steps = 12;
  recipe::set_learning_rates(recipe, size);
  Trainer trainer(recipe, size, tensor::Dtype::kFloat32, 1, 1);
  const data::BatchSampler batches(corpus.tokens(data::Split::kTrain), size.context, size.batch_sequences, 1);
  Weights weights;
  for (int64_t step = 0; step < size.steps; ++step) {
    trainer.step(batches, step);
    const std::span<const float> kept = trainer.kept_parameters();
    weights.emplace_back(kept.begin(), kept.end());
    if (!other.empty() && weights.back() != other[static_cast<size_t>(step)]) break;
  }
  return weights;
}

bool may_be(const recipe::Recipe& recipe) {
  try {
    validate(recipe, "changed");
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool decides_sizes(const recipe::RecipeField& field) {
  return field.section == "scaling" || field.name.starts_with("batch_ramp");
}

TEST(EveryField, ChangesSomethingWhereItMayBeChanged) {
  testing::TemporaryFolder folder;
  const data::Corpus corpus =
      data::Corpus::open(testing::tiny_spec(folder.path(), recipe::OptimizerKind::kMuon, 1, 1).corpus);
  for (const std::vector<std::string>& context : testing::recipe_contexts()) {
    recipe::Recipe base = recipe::apply_patches(recipe::Recipe(), context);
    base.model.context = kContext;
    base.schedule.warmup_steps = 2;  // of 12: the rest of the schedule shows
    const Weights weights = trained(base, corpus);
    for (size_t i = 0; i < recipe::recipe_fields().size(); ++i) {
      const recipe::RecipeField& field = recipe::recipe_fields()[i];
      const bool conditional = recipe::field_conditions()[i].active != nullptr;
      if (field.choices.size() == 1 || (!conditional && !context.empty())) continue;
      SCOPED_TRACE(field.full_name() + " in " + ::testing::PrintToString(context));
      recipe::Recipe changed = base;
      field.set(changed, testing::other_value(field, base));
      if (!may_be(changed)) continue;
      if (decides_sizes(field)) {
        EXPECT_NE(to_json(recipe::size_for_flops(changed, 1e13)), to_json(recipe::size_for_flops(base, 1e13)));
      } else {
        EXPECT_TRUE(trained(changed, corpus, weights) != weights);
      }
    }
  }
}

}  // namespace
}  // namespace flywheel::train
