#include "engine/train/memory.h"

#include <gtest/gtest.h>

#include "engine/train/loaded_model.h"

namespace flywheel::train {
namespace {

TEST(Memory, PredictionHoldsEveryBufferOfTheProgramAndLittleElse) {
  recipe::Recipe recipe;
  recipe.optimizer.kind = recipe::OptimizerKind::kAdamw;
  recipe::Size size = recipe::with_flops(recipe, recipe::nearest_size(recipe, 2e6), 1e12);
  size.batch_sequences = 16;
  for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
    for (const int threads : {1, 3}) {
      const model::Program program(recipe, size, dtype, sequences_at_once(size, dtype, threads));
      const auto memory = program.memory();
      EXPECT_GE(memory.arena_bytes_train, memory.arena_bytes_eval);
      // A thread has an arena and a gradient; parameters, Adam's two moments and packed weights are there once.
      const int64_t parameter_bytes = program.parameter_elements() * 4;
      // Hashed tables have their weights once more, for evaluations.
      const int64_t tables = int64_t{recipe.model.ngram_embeddings - 1} * recipe.model.ngram_rows * size.width * 4;
      const int64_t buffers =
          threads * (memory.arena_bytes_train + parameter_bytes) + 3 * parameter_bytes + tables + memory.packed_bytes;
      const auto predicted = static_cast<int64_t>(predict_memory_bytes(recipe, size, dtype, threads));
      EXPECT_GT(predicted, buffers);
      EXPECT_LE(least_memory_bytes(recipe, size), static_cast<uint64_t>(predicted));
      EXPECT_GE(least_memory_bytes(recipe, size), static_cast<uint64_t>(parameter_bytes));
      EXPECT_LT(predicted, buffers + (32 << 20));
    }
  }
}

}  // namespace
}  // namespace flywheel::train
