#include "scaling/forecast/design.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "scaling/forecast/forecaster.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

// Three candidates, of which the second says most of the target, and the target.
const std::vector<double> kJoint = {4, 1, 0, 1, 1, 4, 1, 2, 0, 1, 4, 1, 1, 2, 1, 4};

TEST(Design, VarianceIsThatOfTheNormalDistributionGivenItsRuns) {
  Ladder ladder;
  ladder.rungs = 3;
  const std::vector<Point> points = make_ladder(ladder, 1);
  const Forecaster forecaster(points);
  std::vector<std::pair<double, double>> sites;
  for (const double share : {0.5, 1.0, 2.0}) sites.emplace_back(3e5 * share, 1e8 / share);
  sites.emplace_back(2e6, 1e9);
  const std::vector<double> covariance = forecaster.covariance(sites);
  const std::vector<double> noise = {0.003, 0.01, 0.002};
  Design design(covariance, {1, 1, 1}, noise);
  const std::vector<size_t> runs = {1, 0, 1, 2};
  for (const size_t run : runs) design.add(run);
  const Eigen::Map<const Eigen::Matrix<double, 4, 4, Eigen::RowMajor>> all(covariance.data());
  Eigen::Matrix4d measured;
  Eigen::Vector4d cross;
  for (Eigen::Index i = 0; i < 4; ++i) {
    const auto a = static_cast<Eigen::Index>(runs[static_cast<size_t>(i)]);
    cross[i] = all(a, 3);
    for (Eigen::Index j = 0; j < 4; ++j)
      measured(i, j) = all(a, static_cast<Eigen::Index>(runs[static_cast<size_t>(j)]));
    measured(i, i) += std::pow(noise[static_cast<size_t>(a)], 2);
  }
  const double left = all(3, 3) - cross.dot(measured.ldlt().solve(cross));
  EXPECT_NEAR(design.target_sd() / std::sqrt(left), 1, 1e-6);
  EXPECT_LT(left, 0.9 * all(3, 3));
}

TEST(Design, TheBestRunTakesMostPerFlopOfThoseAllowed) {
  const std::vector<double> noise(3, 0.1);
  EXPECT_EQ(Design(kJoint, {1, 1, 1}, noise).best(1), 1u);
  EXPECT_EQ(Design(kJoint, {1, 10, 2}, noise).best(10), 0u);
  EXPECT_EQ(Design(kJoint, {4, 3, 2}, noise).best(2), 2u);
  EXPECT_EQ(Design(kJoint, {1, 1, 2}, noise).best(2, [](size_t c) { return c != 1; }), 0u);
  EXPECT_EQ(Design(kJoint, {4, 3, 2}, noise).best(1), 3u);  // nothing is that cheap
  std::vector<double> apart = kJoint;
  for (const size_t i : {3, 7, 11, 12, 13, 14}) apart[i] = 0;
  EXPECT_EQ(Design(apart, {1, 1, 1}, noise).best(1), 3u);  // nothing says anything of the target
}

}  // namespace
}  // namespace flywheel::scaling
