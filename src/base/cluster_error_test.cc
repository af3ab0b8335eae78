#include "base/cluster_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel {
namespace {

double sum(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result += value;
  return result;
}

TEST(RatioError, OfEqualClustersIsTheStandardErrorOfTheirMean) {
  const std::vector<double> y = {1, 3, 8, 4}, x = {2, 2, 2, 2};
  const ClusterError error = *ratio_error(y, x);
  EXPECT_NEAR(error.sd, standard_deviation(y) / 2 / std::sqrt(4.0), 1e-12);
  EXPECT_NEAR(error.degrees, 3, 1e-3);
  EXPECT_NEAR(error.half_width(0.9), student_quantile(0.95, 3) * error.sd, 1e-3 * error.sd);
  EXPECT_NEAR(ratio_error(std::vector<double>{2, 4, 6}, std::vector<double>{1, 2, 3})->sd, 0, 1e-12);  // never varies
  EXPECT_FALSE(ratio_error(std::vector<double>{2}, std::vector<double>{1}));
  EXPECT_FALSE(ratio_error({}, {}));
}

TEST(RatioError, AFewLongClustersLeaveFewDegreesOfFreedom) {
  std::vector<double> x(1000, 1.0);
  EXPECT_NEAR(ratio_error(x, x)->degrees, 999, 15);
  x[0] = x[1] = x[2] = 1000;
  const double few = ratio_error(x, x)->degrees;
  EXPECT_GT(few, 2);
  EXPECT_LT(few, 5);
}

TEST(RatioError, OfOneClusterThatIsNearlyAllItCannotBeTold) {
  const std::vector<double> x = {100, 1, 1, 1, 1}, y = {200, 3, 1, 2, 2};
  const ClusterError error = *ratio_error(y, x);
  EXPECT_EQ(error.degrees, 0);
  EXPECT_TRUE(std::isinf(error.half_width(0.9)));
  const std::vector<double> equal = {1, 1};
  EXPECT_NEAR(ratio_error(equal, equal)->degrees, 1, 1e-3);  // two alike are just enough
}

TEST(RatioError, WithoutDegreesIsThatOfANormal) {
  EXPECT_DOUBLE_EQ((ClusterError{.sd = 0.5}.half_width(0.9)), 0.5 * kNormal90);
}

// The error that is stated is the one that is made, and its interval holds the truth as often as it says: with lengths
// over three decades, of which few documents are most, and a level of its own for each document.
TEST(RatioError, IntervalsHoldTheTruthAsOftenAsTheySay) {
  constexpr int kTrials = 1000;
  for (const int documents : {4, 16, 64, 256}) {
    Rng rng(11, static_cast<uint64_t>(documents));
    int told = 0, inside = 0, normal = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> x, y;
      for (int d = 0; d < documents; ++d) {
        x.push_back(3000 * std::exp(1.5 * rng.normal()));
        y.push_back(x.back() * (2 + 0.4 * rng.normal()));
      }
      const ClusterError error = *ratio_error(y, x);
      if (error.degrees == 0) continue;
      ++told;
      inside += std::abs(sum(y) / sum(x) - 2) < error.half_width(0.9);
      normal += std::abs(sum(y) / sum(x) - 2) < kNormal90 * error.sd;
    }
    const double share = static_cast<double>(inside) / told;
    EXPECT_GT(told, kTrials / 2) << documents;
    EXPECT_GT(share, 0.88) << documents;
    EXPECT_LT(share, 0.95) << documents;
    if (documents > 64) continue;
    EXPECT_LT(static_cast<double>(normal) / told, share - 0.02) << documents;
  }
}

// Bytes of one document are alike: as independent pieces they would say far too little.
TEST(RatioError, CountsClustersAndNotTheirParts) {
  Rng rng(12);
  std::vector<double> x, y, piece_x, piece_y;
  for (int document = 0; document < 80; ++document) {
    const double level = 2 + 0.4 * rng.normal();
    const auto pieces = static_cast<int>(1 + rng.below(9));
    for (int piece = 0; piece < pieces; ++piece) {
      piece_x.push_back(128);
      piece_y.push_back(128 * level);
    }
    x.push_back(128.0 * pieces);
    y.push_back(128.0 * pieces * level);
  }
  EXPECT_LT(ratio_error(piece_y, piece_x)->sd, 0.6 * ratio_error(y, x)->sd);
}

}  // namespace
}  // namespace flywheel
