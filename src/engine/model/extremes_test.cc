// Weights that are not finite show in the loss or the gradient and break nothing; nothing to predict costs nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;

bool all_finite(const testing::LossAndGradient& found) {
  return std::isfinite(found.loss) &&
         std::all_of(found.gradient.begin(), found.gradient.end(), [](float value) { return std::isfinite(value); });
}

TEST(Extremes, WeightsThatAreNotFiniteShowAndBreakNothing) {
  for (const SmallModel& m : testing::vocabulary_models()) {
    for (const tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
      const Program program(m.recipe, m.size, dtype);
      const std::vector<float> good = testing::random_parameters(program, 1);
      const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
      for (const ParameterInfo& p : program.parameters()) {
        for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity()}) {
          SCOPED_TRACE(fmt::format("{}: {} of {} in {}", describe(m), value, p.name,
                                   dtype == tensor::Dtype::kFloat32 ? "float32" : "bfloat16"));
          std::vector<float> bad = good;
          std::fill_n(bad.begin() + p.offset, p.shape.elements(), value);
          const auto found = testing::loss_and_gradient(program, bad, tokens);
          // Infinite ones may saturate; balance biases only decide who is chosen.
          if (std::isnan(value) && p.group != ParameterGroup::kBalance) {
            EXPECT_FALSE(all_finite(found));
          }
        }
      }
    }
  }
}

TEST(Extremes, ASequenceWithNothingToPredictHasNoLoss) {
  const SmallModel m = testing::vocabulary_models()[0];
  const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
  const std::vector<float> parameters = testing::random_parameters(program, 1);
  EXPECT_EQ(testing::loss_only(program, parameters, {}), 0);
  EXPECT_EQ(testing::loss_only(program, parameters, testing::random_tokens(1, m.size.vocabulary, 2)), 0);
}

}  // namespace
}  // namespace flywheel::model
