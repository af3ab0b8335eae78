// The whole model's gradient against finite differences, for every combination of the recipe's vocabulary.
#include <gtest/gtest.h>

#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;

// The loss is float32 inside: its rounding (about 1e-6 of a loss near 30) over a step of 1e-2 leaves a few 1e-3.
constexpr double kStep = 1e-2;
constexpr double kTolerance = 3e-3;

void check_gradient(const SmallModel& m) {
  SCOPED_TRACE(describe(m));
  const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
  const std::vector<float> parameters = testing::random_parameters(program, 5);
  const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 6);
  const auto exact = testing::loss_and_gradient(program, parameters, tokens);
  EXPECT_NEAR(exact.loss, testing::loss_only(program, parameters, tokens), 1e-4);
  uint64_t stream = 0;
  for (const ParameterInfo& p : program.parameters()) {
    if (p.group == ParameterGroup::kBalance) continue;  // it changes choices, of which there is no derivative
    Rng rng(9, stream++);
    std::vector<double> direction;
    double length = 0, expected = 0, size = 0;
    for (int64_t i = 0; i < p.shape.elements(); ++i) {
      direction.push_back(rng.normal());
      length += direction.back() * direction.back();
    }
    for (int64_t i = 0; i < p.shape.elements(); ++i) {
      const double g = exact.gradient[static_cast<size_t>(p.offset + i)];
      direction[static_cast<size_t>(i)] /= std::sqrt(length);
      expected += direction[static_cast<size_t>(i)] * g;
      size += g * g;
    }
    const auto moved = [&](double step) {
      std::vector<float> at = parameters;
      for (int64_t i = 0; i < p.shape.elements(); ++i) {
        at[static_cast<size_t>(p.offset + i)] += static_cast<float>(step * direction[static_cast<size_t>(i)]);
      }
      return testing::loss_only(program, at, tokens);
    };
    const auto slope = [&](double step) { return (moved(step) - moved(-step)) / (2 * step); };
    const double measured = (4 * slope(kStep / 2) - slope(kStep)) / 3;  // Richardson: the cubic term cancels
    EXPECT_NEAR(measured, expected, kTolerance * (1 + std::sqrt(size))) << p.name;
    EXPECT_GT(size, 0) << p.name << " has no gradient at all";
  }
}

TEST(ModelGradient, MatchesFiniteDifferencesForEveryRecipe) {
  const std::vector<SmallModel> models = testing::all_small_models();
  ASSERT_EQ(models.size(), 288u);
  for (const SmallModel& m : models) check_gradient(m);
}

TEST(ModelGradient, MatchesFiniteDifferencesForTheVocabulary) {
  for (const SmallModel& m : testing::vocabulary_models()) {
    if (testing::trains_on_its_loss(m.recipe)) check_gradient(m);
  }
}

}  // namespace
}  // namespace flywheel::model
