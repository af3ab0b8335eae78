#include "base/sampled_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace flywheel {
namespace {

double loss_of(const std::vector<ScoredText>& texts) {
  double y = 0, x = 0;
  for (const ScoredText& text : texts) y += text.y, x += text.x;
  return y / x;
}

TEST(SampledText, NearDuplicatesCountAsOne) {
  const std::vector<ScoredText> texts = {{2, 1, 7}, {3, 1, 9}, {2.5, 1, 7}, {9, 4, 8}};
  const SampledError error = sampled_error(texts);
  EXPECT_EQ(error.units, (SampledUnits{.clusters = 3}));
  const auto expected = ratio_error(std::vector<double>{4.5, 9, 3}, std::vector<double>{2, 4, 1});
  EXPECT_NEAR(error.error->sd, expected->sd, 1e-12);
  EXPECT_NEAR(error.error->degrees, expected->degrees, 1e-9);
  EXPECT_FALSE(sampled_error(std::vector<ScoredText>{{2, 1, 7}, {3, 1, 7}}).error);  // one cluster tells nothing
  EXPECT_FALSE(sampled_error({}).error);
}

TEST(SampledText, BlocksOfOneDocumentSampleIt) {
  const std::vector<ScoredText> texts = {{2, 1, 5, true}, {3, 1, 5, true}, {5, 2, 5, true}};
  const SampledError error = sampled_error(texts);
  EXPECT_EQ(error.units, (SampledUnits{.clusters = 0, .cut_documents = 1, .blocks = 3}));
  EXPECT_NEAR(error.error->sd, ratio_error(std::vector<double>{2, 3, 5}, std::vector<double>{1, 1, 2})->sd, 1e-12);
}

// What sets it apart from the others is no error, but for the block by which its share may be another.
TEST(SampledText, ALargeDocumentIsAStratumBesideTheOthers) {
  std::vector<ScoredText> texts;
  for (int block = 0; block < 8; ++block) texts.push_back({40 + 0.1 * block, 10, 1, true});
  for (int d = 0; d < 20; ++d) texts.push_back({1 + 0.05 * (d % 4), 1, 100 + d});
  const SampledError error = sampled_error(texts);
  EXPECT_EQ(error.units, (SampledUnits{.clusters = 20, .cut_documents = 1, .blocks = 8}));
  EXPECT_LT(error.error->sd, 0.01);
  EXPECT_GT(error.error->degrees, 5);
  std::vector<double> y, x;
  for (const ScoredText& text : texts) y.push_back(text.y), x.push_back(text.x);
  EXPECT_GT(ratio_error(y, x)->sd, 10 * error.error->sd);
}

// With many documents a large one is one of them.
TEST(SampledText, AmongManyACutDocumentIsACluster) {
  std::vector<ScoredText> texts = {{2, 1, 5, true}, {3, 1, 5, true}};
  for (int d = 0; d < 20; ++d) texts.push_back({2 + 0.05 * (d % 4), 1, 100 + d});
  EXPECT_EQ(sampled_error(texts).units, (SampledUnits{.clusters = 21}));
}

TEST(SampledText, ASingleBlockAndALoneDocumentAreNoStrata) {
  std::vector<ScoredText> texts;
  for (int d = 0; d < 6; ++d) texts.push_back({2.0 + d, 1, d, true});  // one block each: documents drawn like any other
  EXPECT_EQ(sampled_error(texts).units, (SampledUnits{.clusters = 6}));
  // What is beside one large document is too little to tell how documents differ: it makes the error wider.
  texts = {{2, 1, 5, true}, {3, 1, 5, true}, {5, 2, 5, true}};
  const double alone = sampled_error(texts).error->sd;
  texts.push_back({5, 1, 6});
  EXPECT_GT(sampled_error(texts).error->sd, 2 * alone);
  EXPECT_EQ(sampled_error(texts).units, (SampledUnits{.clusters = 0, .cut_documents = 1, .blocks = 4}));
}

// Documents in clusters whose members are alike, beside one that is cut: 90% intervals about the mean of the rest and
// of the text of that one.
TEST(SampledText, IntervalsHoldTheTruthInNineOfTen) {
  struct World {
    int blocks, clusters;
    double large_share;
  };
  for (const World& world : {World{0, 40, 0}, World{8, 0, 1}, World{8, 60, 0.8}, World{12, 60, 0.5}}) {
    Rng rng(13, static_cast<uint64_t>(world.blocks * 100 + world.clusters));
    int inside = 0, by_document = 0, told = 0;
    constexpr int kTrials = 1500;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<ScoredText> texts;
      std::vector<double> y, x;
      for (int block = 0; block < world.blocks; ++block)
        texts.push_back({0, world.large_share / world.blocks, 0, true}), texts.back().y = 3 + 0.2 * rng.normal();
      for (int c = 0; c < world.clusters; ++c) {
        const double level = 2 + 0.4 * rng.normal();
        const auto members = c % 4 == 0 ? 6 : 1;
        for (int m = 0; m < members; ++m)
          texts.push_back({level + 0.05 * rng.normal(), (1 - world.large_share) / (2.25 * world.clusters), c + 1});
      }
      for (ScoredText& text : texts) text.y *= text.x, y.push_back(text.y), x.push_back(text.x);
      const double truth = 3 * world.large_share + 2 * (1 - world.large_share);
      const SampledError error = sampled_error(texts);
      ASSERT_TRUE(error.error);
      told += error.error->degrees > 0;
      inside += std::abs(loss_of(texts) - truth) < error.error->half_width(0.9);
      by_document += std::abs(loss_of(texts) - truth) < ratio_error(y, x)->half_width(0.9);
    }
    EXPECT_EQ(told, kTrials);
    EXPECT_GT(inside, 0.87 * kTrials) << world.blocks << " " << world.clusters;
    EXPECT_LT(inside, 0.94 * kTrials) << world.blocks << " " << world.clusters;
    if (world.blocks == 0) {
      EXPECT_LT(by_document, 0.8 * kTrials);
    }
  }
}

TEST(SampledText, SaysWhatItIsOver) {
  EXPECT_EQ(words({.clusters = 9}), "documents");
  EXPECT_EQ(words({.clusters = 0, .cut_documents = 1, .blocks = 8}), "blocks of one document");
  EXPECT_EQ(words({.clusters = 0, .cut_documents = 3, .blocks = 8}), "blocks of 3 documents");
  EXPECT_EQ(words({.clusters = 9, .cut_documents = 1, .blocks = 8}), "documents and blocks of a large one");
  EXPECT_EQ(words({.clusters = 9, .cut_documents = 2, .blocks = 8}), "documents and blocks of 2 large ones");
}

}  // namespace
}  // namespace flywheel
