#include "engine/data/unigram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace flywheel::data {
namespace {

TEST(Unigram, IsTheEntropyOfWhatWasDrawnIndependently) {
  // A quarter of the tokens is each of four bytes; every hundredth ends a document.
  Rng rng(3);
  const auto drawn = [&](size_t count) {
    std::vector<uint16_t> tokens;
    for (size_t i = 1; i <= count; ++i)
      tokens.push_back(i % 100 == 0 ? kEndOfDocument : static_cast<uint16_t>(97 + rng.below(4)));
    return tokens;
  };
  const double expected = (0.99 * -std::log2(0.99 / 4) + 0.01 * -std::log2(0.01)) / 0.99;
  const std::vector<uint16_t> scored = drawn(100'000);
  EXPECT_NEAR(unigram_bits_per_byte(drawn(1'000'000), scored), expected, 0.002);
  // Of a long split only parts are counted.
  EXPECT_NEAR(unigram_bits_per_byte(drawn(40'000'000), scored), expected, 0.002);
}

TEST(Unigram, WhatTrainDoesNotHoldCostsBitsAndNothingScoredIsInfinite) {
  const std::vector<uint16_t> train(1000, 65), other(10, 66), ends(3, kEndOfDocument);
  EXPECT_NEAR(unigram_bits_per_byte(train, other), std::log2(1257), 1e-9);
  EXPECT_TRUE(std::isinf(unigram_bits_per_byte(train, ends)));
}

}  // namespace
}  // namespace flywheel::data
