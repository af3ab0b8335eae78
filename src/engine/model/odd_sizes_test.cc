// Models at sizes where loops are empty, heads are one and vocabularies smallest or large: the parallel form and the
// recurrent form agree there as elsewhere, and gradients are numbers. (gradient_test.cc holds them against differences
// of the loss.)
#include <gtest/gtest.h>

#include <cmath>

#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;
using testing::token_loss;

// Every row of the vocabulary with one layer and one head.
std::vector<SmallModel> least_models(int vocabulary, int context) {
  std::vector<SmallModel> models;
  for (std::vector<std::string> patches : testing::vocabulary()) {
    patches.push_back("model.kv_group=1");
    SmallModel m = testing::patched_model(patches);
    m.size.layers = m.size.heads = m.size.kv_heads = 1;
    m.size.width = m.recipe.model.head_dim;
    m.size.vocabulary = vocabulary;
    m.size.context = m.recipe.model.context = context;
    if (m.recipe.model.predicted_tokens <= context) models.push_back(m);
  }
  return models;
}

void check_model(const SmallModel& m) {
  SCOPED_TRACE(describe(m));
  for (const tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
    const Program program(m.recipe, m.size, dtype);
    const std::vector<float> parameters = testing::random_parameters(program, 1);
    const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 2);
    PackedWeights packed(program);
    packed.refresh(parameters.data(), 0, 1);
    Generation generation(program, packed, parameters.data());
    double sum = 0;
    for (size_t n = 1; n < tokens.size(); ++n) sum += token_loss(generation.next(tokens[n - 1]), tokens[n]);
    const auto trained = testing::loss_and_gradient(program, parameters, tokens);
    const double tolerance = (dtype == tensor::Dtype::kFloat32 ? 1e-5 : 1e-2) * (1 + sum);  // as generation_test.cc
    EXPECT_NEAR(testing::loss_only(program, parameters, tokens), sum, tolerance);
    EXPECT_NEAR(trained.loss, sum, tolerance);
    for (const float g : trained.gradient) ASSERT_TRUE(std::isfinite(g));
  }
}

TEST(OddSizes, OneLayerAndOneHeadAtContextsThatAreNoMultipleOfAnything) {
  for (const int context : {2, 3, 37}) {
    SCOPED_TRACE(context);
    for (const SmallModel& m : least_models(19, context)) check_model(m);
  }
}

TEST(OddSizes, VocabulariesOfTwoAndOfFiftyThousand) {
  for (const int vocabulary : {2, 50000}) {
    SCOPED_TRACE(vocabulary);
    for (const SmallModel& m : least_models(vocabulary, 5)) check_model(m);
  }
}

// The smallest models of a family have one head that is wider than they are; others have a width that is no multiple of
// a head's (recipe/size.cc).
TEST(OddSizes, HeadsThatTogetherAreWiderOrNarrowerThanTheModel) {
  for (const double heads : {0.5, 0.75, 1.5}) {
    SCOPED_TRACE(heads);
    for (SmallModel m : least_models(19, 7)) {
      m.size.width = static_cast<int>(heads * m.recipe.model.head_dim);
      check_model(m);
    }
  }
}

}  // namespace
}  // namespace flywheel::model
