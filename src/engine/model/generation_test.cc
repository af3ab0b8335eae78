// The recurrent form, one token at a time, gives the numbers of the parallel form.
#include <gtest/gtest.h>

#include <cmath>

#include "testing/small_model.h"

namespace flywheel::model {
namespace {

using testing::SmallModel;
using testing::token_loss;

void check_generation(const SmallModel& m, tensor::Dtype dtype, double tolerance) {
  SCOPED_TRACE(describe(m));
  const Program program(m.recipe, m.size, dtype);
  const std::vector<float> parameters = testing::random_parameters(program, 3);
  const std::vector<uint16_t> tokens = testing::random_tokens(m.size.context + 1, m.size.vocabulary, 4);
  PackedWeights packed(program);
  packed.refresh(parameters.data(), 0, 1);
  Executor executor(program, packed, parameters.data(), false);
  Generation generation(program, packed, parameters.data());
  for (int text = 0; text < 2; ++text) {  // the second finds nothing of the first
    double sum = 0;
    for (size_t n = 1; n < tokens.size(); ++n) {
      sum += token_loss(generation.next(tokens[n - 1]), tokens[n]);
      EXPECT_NEAR(executor.eval_sequence(std::span(tokens).first(n + 1)), sum, tolerance * (1 + sum)) << n;
    }
    EXPECT_EQ(generation.position(), m.size.context);
    generation.reset();
  }
}

TEST(Generation, GivesTheLossesOfTheParallelForm) {
  // Float32 sums in another order; bfloat16 values that round apart, on losses of a few nats a token.
  for (const SmallModel& m : testing::every_model()) {
    check_generation(m, tensor::Dtype::kFloat32, 1e-5);
    check_generation(m, tensor::Dtype::kBfloat16, 1e-2);
  }
}

}  // namespace
}  // namespace flywheel::model
