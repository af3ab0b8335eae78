#include "recipe/phases.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace flywheel::recipe {
namespace {

Recipe ramped(const char* fraction, const char* start) {
  const Recipe recipe = apply_patch(Recipe(), std::string("schedule.batch_ramp_fraction=") + fraction);
  return apply_patch(recipe, std::string("schedule.batch_ramp_start=") + start);
}

int64_t sum_of_batches(const Size& size, int64_t steps) {
  int64_t sum = 0;
  for (int64_t step = 0; step < steps; ++step) sum += size.sequences_at(step);
  return sum;
}

TEST(BatchRamp, GrowsFromItsFirstBatchToTheFullOneOverItsShareOfTheTokens) {
  for (const auto& [fraction, start] : {std::pair{"0.3", "0.25"}, {"0.6", "0.01"}, {"0.05", "0.5"}}) {
    const Recipe recipe = ramped(fraction, start);
    const Size size = with_flops(recipe, nearest_size(recipe, 1e5), 1e13);
    SCOPED_TRACE(to_json(size).dump());
    ASSERT_GT(size.ramp_steps, 1);
    EXPECT_EQ(size.sequences_at(0), size.ramp_sequences);
    EXPECT_EQ(size.ramp_sequences, std::max(1.0, std::round(std::stod(start) * size.batch_sequences)));
    for (int64_t step = 1; step < size.ramp_steps; ++step) {
      // The whole part of a straight line: it may repeat a batch, and waver by the rounding.
      EXPECT_GE(size.sequences_at(step), size.sequences_at(step - 1) - 1) << step;
      EXPECT_LE(size.sequences_at(step), size.batch_sequences) << step;
    }
    EXPECT_EQ(size.sequences_at(size.ramp_steps), size.batch_sequences);
    EXPECT_EQ(size.sequences_at(size.steps - 1), size.batch_sequences);
    const auto total = static_cast<double>(size.sequences_before(size.steps));
    // To within one full batch.
    EXPECT_NEAR(static_cast<double>(size.sequences_before(size.ramp_steps)) / total, std::stod(fraction),
                size.batch_sequences / total);
  }
}

TEST(BatchRamp, TokensAndFlopsAreTheSumOfItsSteps) {
  for (const auto& [fraction, start] : {std::pair{"0", "0.25"}, {"0.1", "0.2"}, {"0.6", "0.2"}}) {
    const Recipe recipe = ramped(fraction, start);
    for (double flops = 1e10; flops < 1e14; flops *= 7) {
      const Size size = with_flops(recipe, nearest_size(recipe, 1e5), flops);
      EXPECT_EQ(size.tokens(), sum_of_batches(size, size.steps) * size.context);
      EXPECT_EQ(size.sequences_before(size.steps / 2), sum_of_batches(size, size.steps / 2));
      const double step_flops = count(recipe, size).flops_per_token * size.batch_sequences * size.context;
      EXPECT_NEAR(training_flops(recipe, size), flops, 0.51 * step_flops);
    }
  }
}

TEST(BatchRamp, OffItChangesNothing) {
  Size plain = with_flops(Recipe(), nearest_size(Recipe(), 1e5), 1e12);
  EXPECT_EQ(plain.tokens(), plain.steps * plain.batch_sequences * plain.context);
  EXPECT_EQ(stable_steps(Recipe().schedule, plain), plain.steps - std::llround(0.4 * static_cast<double>(plain.steps)));
  EXPECT_FALSE(to_json(plain).contains("ramp_steps"));
  EXPECT_FALSE(to_json(plain).contains("trunk_steps"));
}

TEST(BatchRamp, SurvivesJson) {
  const Recipe recipe = ramped("0.3", "0.25");
  const Size size = with_flops(recipe, nearest_size(recipe, 1e5), 1e13);
  EXPECT_EQ(to_json(size_from_json(to_json(size), "s")), to_json(size));
  Json json = to_json(size);
  json["ramp_sequences"] = size.batch_sequences + 1;
  EXPECT_THROW(size_from_json(json, "s"), Error);
  json = to_json(size);
  json["trunk_steps"] = 3;
  json["trunk_sequences"] = 3;
  EXPECT_THROW(size_from_json(json, "s"), Error);
}

TEST(BatchRamp, ImpossibleOnesAreRefused) {
  EXPECT_THROW(ramped("0.3", "1"), Error);     // never grows
  EXPECT_THROW(ramped("0.7", "0.25"), Error);  // still growing when the decay of 0.4 begins
  EXPECT_NO_THROW(apply_patch(apply_patch(Recipe(), "schedule.kind=cosine"), "schedule.batch_ramp_fraction=0.7"));
}

TEST(WarmUp, TakesAsManyStepsInALongRunAsInAShortOne) {
  Recipe::Schedule schedule;
  schedule.warmup_steps = 10;
  Size size;
  size.batch_sequences = 3;
  for (const int64_t steps : {50, 500, 50'000}) {
    size.steps = steps;
    EXPECT_EQ(warmup_steps(schedule, size), 10);
  }
  size.steps = 8;
  EXPECT_EQ(warmup_steps(schedule, size), 7) << "something is left to learn at the peak";
}

TEST(BranchedSize, CountsTheTrunkOnceAndEndsWhereTheFullRunDoes) {
  const Recipe recipe;
  const Size model = nearest_size(recipe, 1e5);
  Size trunk = with_flops(recipe, model, 1e12);
  for (double flops = 1.8e12; flops < 1e14; flops *= 1.8) {
    const Size full = with_flops(recipe, model, flops);
    const auto branched = branched_size(recipe, full, trunk);
    ASSERT_TRUE(branched) << flops;
    SCOPED_TRACE(to_json(*branched).dump());
    EXPECT_EQ(branched->trunk_steps, stable_steps(recipe.schedule, trunk));
    EXPECT_EQ(branched->trunk_sequences, trunk.sequences_before(branched->trunk_steps));
    EXPECT_NEAR(static_cast<double>(branched->tokens()), static_cast<double>(full.tokens()),
                0.5 * full.batch_sequences * full.context);
    EXPECT_EQ(branched->new_tokens(), branched->tokens() - branched->trunk_sequences * full.context);
    EXPECT_LT(new_training_flops(recipe, *branched), training_flops(recipe, *branched));
    // As long a decay as the full run's.
    EXPECT_NEAR(static_cast<double>(branched->steps - stable_steps(recipe.schedule, *branched)),
                static_cast<double>(full.steps - stable_steps(recipe.schedule, full)), 1);
    trunk = *branched;  // a chain
  }
}

TEST(BranchedSize, GoesOnFromARampThatIsOver) {
  const Recipe recipe = ramped("0.3", "0.25");
  const Size model = nearest_size(recipe, 1e5);
  const Size trunk = with_flops(recipe, model, 1e12), full = with_flops(recipe, model, 3e12);
  ASSERT_GT(trunk.ramp_steps, 0);
  const auto branched = branched_size(recipe, full, trunk);
  ASSERT_TRUE(branched);
  EXPECT_EQ(branched->ramp_steps, 0);
  EXPECT_EQ(branched->trunk_sequences, sum_of_batches(trunk, branched->trunk_steps));
  EXPECT_NEAR(static_cast<double>(branched->tokens()), static_cast<double>(full.tokens()),
              0.5 * full.batch_sequences * full.context);
}

TEST(BranchedSize, OfTheTrunksOwnBatchIsTheFullRun) {
  const Recipe recipe = apply_patch(Recipe(), "scaling.batch_exponent=0");
  const Size model = nearest_size(recipe, 1e5);
  const Size full = with_flops(recipe, model, 3e12);
  const auto branched = branched_size(recipe, full, with_flops(recipe, model, 1e12));
  ASSERT_TRUE(branched);
  EXPECT_EQ(branched->steps, full.steps);
  EXPECT_EQ(branched->tokens(), full.tokens());
  EXPECT_EQ(warmup_steps(recipe.schedule, *branched), warmup_steps(recipe.schedule, full));
  EXPECT_EQ(stable_steps(recipe.schedule, *branched), stable_steps(recipe.schedule, full));
}

TEST(BranchedSize, AnythingElseIsTrainedInFull) {
  const Recipe recipe;
  const Size model = nearest_size(recipe, 1e5);
  const Size trunk = with_flops(recipe, model, 1e12), full = with_flops(recipe, model, 3e12);
  EXPECT_TRUE(branched_size(recipe, full, trunk));
  EXPECT_FALSE(branched_size(recipe, trunk, full)) << "shorter than its trunk";
  EXPECT_FALSE(branched_size(recipe, with_flops(recipe, model, 1.01e12), full));
  EXPECT_FALSE(branched_size(recipe, with_flops(recipe, nearest_size(recipe, 3e5), 3e12), trunk));
  Size faster = full;
  faster.matrix_learning_rate *= 2;
  EXPECT_FALSE(branched_size(recipe, faster, trunk));
  for (const char* patch : {"schedule.kind=cosine", "schedule.kind=linear", "schedule.decay_fraction=0"}) {
    const Recipe other = apply_patch(recipe, patch);
    EXPECT_FALSE(branched_size(other, full, trunk)) << patch;
  }
  Recipe averaged = apply_patch(recipe, "optimizer.averaging=tail");
  EXPECT_TRUE(branched_size(averaged, full, trunk));
  averaged.optimizer.average_fraction = 0.9;
  EXPECT_FALSE(branched_size(averaged, full, trunk)) << "the average would hold steps of the trunk";
}

}  // namespace
}  // namespace flywheel::recipe
