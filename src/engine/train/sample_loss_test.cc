#include "engine/train/sample_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::train {
namespace {

TEST(RatioSd, OfEqualClustersIsTheStandardErrorOfTheirMean) {
  const std::vector<double> y = {1, 3, 8, 4}, x = {2, 2, 2, 2};
  EXPECT_NEAR(*ratio_sd(y, x), standard_deviation(y) / 2 / std::sqrt(4.0), 1e-12);
  EXPECT_NEAR(*ratio_sd(std::vector<double>{2, 6}, std::vector<double>{1, 3}), 0, 1e-12);  // a ratio that never varies
  EXPECT_FALSE(ratio_sd(std::vector<double>{2}, std::vector<double>{1}));
  EXPECT_FALSE(ratio_sd({}, {}));
}

// Documents of unequal lengths with levels of their own: the error that is stated is the one that is made, and that of
// independent pieces would be far too small.
TEST(RatioSd, IsTheErrorThatOtherDocumentsWouldHaveMade) {
  Rng rng(11);
  std::vector<double> ratios, stated, of_pieces;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<double> y, x, piece_y, piece_x;
    for (int document = 0; document < 80; ++document) {
      const double level = 2 + 0.4 * rng.normal();
      const auto pieces = static_cast<int>(1 + rng.below(9));
      double bits = 0;
      for (int piece = 0; piece < pieces; ++piece) {
        piece_y.push_back(128 * (level + 0.2 * rng.normal()));
        piece_x.push_back(128);
        bits += piece_y.back();
      }
      y.push_back(bits);
      x.push_back(128.0 * pieces);
    }
    double bits = 0, bytes = 0;
    for (size_t i = 0; i < y.size(); ++i) bits += y[i], bytes += x[i];
    ratios.push_back(bits / bytes);
    stated.push_back(*ratio_sd(y, x));
    of_pieces.push_back(*ratio_sd(piece_y, piece_x));
  }
  const double made = standard_deviation(ratios);
  EXPECT_NEAR(mean(stated) / made, 1, 0.06);
  EXPECT_LT(mean(of_pieces) / made, 0.6);
}

TEST(SampleLoss, IsOfTheWholeListAndOfEachDocument) {
  data::EvalSample sample;
  sample.segments = "abc";
  // Document 0 in two pieces, the second with its end; document 40.
  sample.pieces = {{.document = 0, .tokens = 2, .bytes = 2},
                   {.document = 0, .tokens = 2, .bytes = 1},
                   {.document = 40, .tokens = 1, .bytes = 1}};
  sample.tokens = 5;
  sample.bytes = 4;
  const std::vector<double> nats = {1, 2, 3, 0.5, 4};
  const SampleLoss loss = sample_loss(sample, nats);
  EXPECT_EQ(loss.segments, "abc");
  EXPECT_NEAR(loss.loss, 10.5 / 5, 1e-12);
  EXPECT_NEAR(loss.bits_per_byte, 10.5 / std::numbers::ln2 / 4, 1e-12);  // the end counts above the line only
  ASSERT_EQ(loss.documents.size(), 2u);
  EXPECT_EQ(loss.documents[0].begin, 0);
  EXPECT_EQ(loss.documents[0].tokens, 4);
  EXPECT_EQ(loss.documents[0].bytes, 3);
  EXPECT_NEAR(loss.documents[0].nats, 6.5, 1e-12);
  EXPECT_EQ(loss.documents[1].begin, 40);
  EXPECT_NEAR(*loss.sampling_sd, *ratio_sd(std::vector{6.5, 4.0}, std::vector{3.0, 1.0}) / std::numbers::ln2, 1e-12);
}

}  // namespace
}  // namespace flywheel::train
