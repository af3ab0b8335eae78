#include "base/cluster_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel {
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

}  // namespace
}  // namespace flywheel
