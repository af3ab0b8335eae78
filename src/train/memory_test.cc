#include "train/memory.h"

#include <gtest/gtest.h>

#include "train/optimizer_plan.h"

namespace flywheel::train {
namespace {

TEST(Memory, PredictionHoldsEveryBufferOfTheProgramAndLittleElse) {
  Recipe recipe;
  recipe.optimizer.kind = OptimizerKind::kAdamw;
  Size size = with_flops(recipe, nearest_size(recipe, 2e6), 1e12);
  size.batch_sequences = 16;
  for (Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
    const model::Program program(recipe, size, dtype);
    const auto memory = program.memory();
    EXPECT_GE(memory.arena_bytes_train, memory.arena_bytes_eval);
    const int64_t parameter_bytes = program.parameter_elements() * 4;
    const auto one = static_cast<int64_t>(predict_memory_bytes(recipe, size, dtype, 1));
    const auto three = static_cast<int64_t>(predict_memory_bytes(recipe, size, dtype, 3));
    const int64_t per_thread = memory.arena_bytes_train + parameter_bytes;
    EXPECT_NEAR(static_cast<double>(three - one) / static_cast<double>(2 * per_thread), 1, 0.05);
    const int64_t buffers = per_thread + 3 * parameter_bytes + memory.packed_bytes;
    EXPECT_GT(one, buffers);
    EXPECT_LT(one, buffers + (32 << 20));
  }
}

}  // namespace
}  // namespace flywheel::train
