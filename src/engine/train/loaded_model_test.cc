#include "engine/train/loaded_model.h"

#include <gtest/gtest.h>

namespace flywheel::train {
namespace {

TEST(LoadedModel, ThreadsTakeSeveralShortSequencesAtOnceAndAsManyInEveryRun) {
  const auto at_once = [](int context, int batch, int threads) {
    recipe::Size size;
    size.context = context;
    size.batch_sequences = batch;
    return sequences_at_once(size, threads);
  };
  EXPECT_EQ(at_once(64, 12, 2), 3);  // twice three, not four and two
  EXPECT_EQ(at_once(64, 12, 1), 4);
  EXPECT_EQ(at_once(128, 16, 1), 2);
  EXPECT_EQ(at_once(64, 3, 2), 2);
  EXPECT_EQ(at_once(64, 1, 2), 1);
  EXPECT_EQ(at_once(256, 16, 2), 1);
  EXPECT_EQ(at_once(1000, 16, 1), 1);
}

}  // namespace
}  // namespace flywheel::train
