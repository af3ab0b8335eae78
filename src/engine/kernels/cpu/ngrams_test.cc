// N-gram rows: which tokens they depend on, how evenly they are used, and what is added where.
#include "engine/kernels/ngrams.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace flywheel::kernels {
namespace {

TEST(Ngrams, ARowDependsOnTheLastTokensAndNothingElse) {
  const std::vector<uint16_t> a = {7, 7, 1, 2, 3}, b = {9, 4, 1, 2, 3}, c = {9, 4, 2, 1, 3};
  EXPECT_EQ(ngram_row(a.data(), 4, 3, 100003), ngram_row(b.data(), 4, 3, 100003));
  EXPECT_NE(ngram_row(a.data(), 4, 4, 100003), ngram_row(b.data(), 4, 4, 100003));
  EXPECT_NE(ngram_row(b.data(), 4, 3, 100003), ngram_row(c.data(), 4, 3, 100003));  // the order counts
}

TEST(Ngrams, TheStartOfTheTextIsATokenOfItsOwn) {
  const std::vector<uint16_t> tokens = {0, 0};
  EXPECT_NE(ngram_row(tokens.data(), 0, 2, 100003), ngram_row(tokens.data(), 1, 2, 100003));
}

TEST(Ngrams, BigramsOfBytesUseTheRowsEvenly) {
  std::set<int64_t> used;
  for (uint16_t i = 0; i < 64; ++i) {
    for (uint16_t j = 0; j < 64; ++j) {
      const uint16_t pair[] = {static_cast<uint16_t>(97 + i), static_cast<uint16_t>(97 + j)};
      const int64_t row = ngram_row(pair, 1, 2, 4096);
      ASSERT_TRUE(row >= 0 && row < 4096);
      used.insert(row);
    }
  }
  // 4,096 balls in as many boxes leave 1 - 1/e of them used, 2,589; one standard deviation is about 30.
  EXPECT_GT(used.size(), 2440u);
}

TEST(Ngrams, ForwardAddsRowsAndBackwardAddsThemUp) {
  const std::vector<uint16_t> tokens = {1, 2, 1, 2};
  std::vector<float> table(16 * 3), x(4 * 3, 1.0f), dtable(16 * 3, 0.0f);
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i);
  ngram_forward(tokens.data(), 2, table.data(), 16, 4, 3, x.data());
  const auto at = [&](int64_t t) { return static_cast<size_t>(ngram_row(tokens.data(), t, 2, 16)) * 3; };
  EXPECT_EQ(x[2], 1 + table[at(0) + 2]);
  EXPECT_EQ(x[9], 1 + table[at(3)]);
  EXPECT_EQ(at(1), at(3));
  ngram_backward(tokens.data(), 2, x.data(), 16, 4, 3, dtable.data());
  float sum = 0;
  for (int64_t t = 0; t < 4; ++t) sum += at(t) == at(1) ? x[static_cast<size_t>(t) * 3 + 1] : 0;
  EXPECT_EQ(dtable[at(1) + 1], sum);
}

}  // namespace
}  // namespace flywheel::kernels
