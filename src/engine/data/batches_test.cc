#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "engine/data/corpus.h"

namespace flywheel::data {
namespace {

std::vector<uint16_t> tokens_of(size_t count) {
  std::vector<uint16_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<uint16_t>(mix64(i) % 257);
  return tokens;
}

struct Case {
  size_t tokens;
  int context, batch;
};
// Exactly one window, no slack, few windows, many windows, odd everything.
const Case kCases[] = {{17, 16, 3},          {33, 16, 1},          {40, 16, 2},    {1000, 16, 5},
                       {16 * 64 + 1, 16, 4}, {16 * 64 + 9, 16, 4}, {100003, 13, 7}};

TEST(BatchSampler, EveryEpochDrawsEachWindowOnceAndNearlyAllTokens) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} tokens, context {}, batch {}", c.tokens, c.context, c.batch));
    const std::vector<uint16_t> tokens = tokens_of(c.tokens);
    const BatchSampler sampler(tokens, c.context, c.batch, 5);
    const size_t possible = (c.tokens - 1) / static_cast<size_t>(c.context);
    const size_t epoch = possible >= 64 ? possible - 1 : possible;
    std::set<size_t> phases;
    for (size_t e = 0; e < 5; ++e) {
      std::set<size_t> starts;
      for (size_t draw = e * epoch; draw < (e + 1) * epoch; ++draw) {
        const auto batch = static_cast<size_t>(c.batch);
        const auto window = sampler.sequence(static_cast<int64_t>(draw / batch), static_cast<int>(draw % batch));
        ASSERT_EQ(window.size(), static_cast<size_t>(c.context) + 1);
        ASSERT_GE(window.data(), tokens.data());
        ASSERT_LE(window.data() + window.size(), tokens.data() + tokens.size());
        EXPECT_TRUE(starts.insert(static_cast<size_t>(window.data() - tokens.data())).second) << "drawn twice";
      }
      const size_t phase = *starts.begin() % static_cast<size_t>(c.context);
      for (const size_t start : starts) EXPECT_EQ(start % static_cast<size_t>(c.context), phase);
      phases.insert(phase);
    }
    if (possible >= 64) {
      EXPECT_GT(phases.size(), 1u);
    }
  }
}

TEST(BatchSampler, IsAPureFunctionOfSeedStepAndIndex) {
  const std::vector<uint16_t> tokens = tokens_of(5000);
  const BatchSampler a(tokens, 32, 4, 9), b(tokens, 32, 4, 9), other(tokens, 32, 4, 10);
  int same = 0;
  for (int64_t step = 99; step >= 0; --step)
    for (int i = 3; i >= 0; --i) {
      EXPECT_EQ(a.sequence(step, i).data(), b.sequence(step, i).data());
      same += a.sequence(step, i).data() == other.sequence(step, i).data();
    }
  EXPECT_LT(same, 40);  // of 400; by chance one in 156 windows and 32 phases
}

TEST(BatchSampler, NumbersGoOnFromStepToStep) {
  const std::vector<uint16_t> tokens = tokens_of(5000);
  const BatchSampler sampler(tokens, 32, 4, 9);
  for (int64_t step = 0; step < 50; ++step)
    for (int i = 0; i < 4; ++i) EXPECT_EQ(sampler.sequence(step, i).data(), sampler.drawn(step * 4 + i).data());
}

TEST(BatchSampler, OrderIsSpreadOverTheWholeSplit) {
  const std::vector<uint16_t> tokens = tokens_of(1 << 20);
  const BatchSampler sampler(tokens, 64, 8, 3);
  std::array<int, 16> counts{};
  for (int64_t step = 0; step < 200; ++step)
    for (int i = 0; i < 8; ++i)
      ++counts[static_cast<size_t>(sampler.sequence(step, i).data() - tokens.data()) * 16 / tokens.size()];
  // 100 expected; five standard deviations.
  for (const int count : counts) EXPECT_NEAR(count, 100, 50);
}

TEST(BatchSampler, TooFewTokensAreRefused) {
  const std::vector<uint16_t> tokens = tokens_of(16);
  EXPECT_THROW(BatchSampler(tokens, 16, 1, 0), Error);
  EXPECT_THROW(BatchSampler({}, 1, 1, 0), Error);
}

TEST(BatchSampler, DrawsOfHugeStepsStayInside) {
  const std::vector<uint16_t> tokens = tokens_of(999);
  const BatchSampler sampler(tokens, 10, 3, 1);
  for (const int64_t step : {int64_t{1} << 40, int64_t{1} << 60}) EXPECT_EQ(sampler.sequence(step, 2).size(), 11u);
}

}  // namespace
}  // namespace flywheel::data
