#include "campaign/rung_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::campaign {
namespace {

using scaling::DesignSite;

struct RungDesign : ::testing::Test {
  scaling::Ladder ladder;
  std::vector<DesignSite> here;
  DesignSite target;

  void SetUp() override {
    ladder.rungs = 3;
    const double C = ladder.lowest * std::pow(ladder.factor, 3), top = 4 * C;
    for (int i = -3; i <= 3; ++i) {
      const double N = 0.7 * std::sqrt(C / 6) * std::pow(1.6, i);
      here.push_back({N, C / (6 * N), C});
    }
    const double N = 0.7 * std::sqrt(top / 6);
    target = {N, top / (6 * N), top};
  }
};

TEST_F(RungDesign, TakesAtLeastTwoSizesAndAtMostAsManyAsAllowed) {
  const scaling::Forecaster forecaster(make_ladder(ladder, 1));
  for (const int most : {2, 3, 7}) {
    const auto chosen = choose_rung(forecaster, here, target, most);
    EXPECT_GE(chosen.size(), 2u);
    EXPECT_LE(chosen.size(), static_cast<size_t>(most));
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
  }
  EXPECT_EQ(choose_rung(forecaster, std::span(here).first(1), target, 3).size(), 1u);
}

TEST_F(RungDesign, AtEqualGainTheCheaperSizeIsTaken) {
  const scaling::Forecaster forecaster(make_ladder(ladder, 1));
  for (size_t cheap = 1; cheap < 6; ++cheap) {
    std::vector<DesignSite> sites = here;
    sites[cheap].flops /= 50;
    const auto chosen = choose_rung(forecaster, sites, target, 2);
    EXPECT_NE(std::find(chosen.begin(), chosen.end(), cheap), chosen.end()) << cheap;
  }
}

// What is chosen must serve the forecast: beside the two sizes at the ends of the rung, its variance at the target is
// less.
TEST_F(RungDesign, ChosenSizesTellMoreThanTheEndsOfTheRung) {
  const scaling::Forecaster forecaster(make_ladder(ladder, 2));
  const auto sd_after = [&](const std::vector<size_t>& runs) {
    std::vector<std::pair<double, double>> sites;
    std::vector<double> costs, noise;
    for (const DesignSite& s : here) {
      sites.emplace_back(s.N, s.D);
      costs.push_back(s.flops);
      noise.push_back(forecaster.noise_sd(s.N, s.D));
    }
    sites.emplace_back(target.N, target.D);
    scaling::Design design(forecaster.covariance(sites), costs, noise);
    for (const size_t c : runs) design.add(c);
    return design.target_sd();
  };
  EXPECT_LT(sd_after(choose_rung(forecaster, here, target, 2)), sd_after({0, 6}));
  EXPECT_LT(sd_after({0, 6}), sd_after({}));
}

// The same joint covariance as predictions show: a site's own variance, less the noise that predict() adds.
TEST(ForecasterCovariance, AgreesWithThePredictionsOwnInterval) {
  const scaling::Forecaster forecaster(scaling::make_ladder({}, 3));
  const std::vector<std::pair<double, double>> sites = {{1e5, 3e7}, {4e5, 8e7}, {2e6, 4e8}};
  const std::vector<double> covariance = forecaster.covariance(sites);
  double noise = 0;
  for (const scaling::MisfitModel& m : forecaster.models()) noise += m.weight * m.noise_sd * m.noise_sd;
  for (size_t i = 0; i < 3; ++i) {
    const scaling::Optimum o = forecaster.predict(sites[i].first, sites[i].second);
    const double sd = std::log(o.high / o.low) / (2 * 1.6448536269514722);
    // Noise is all that the prediction has beside: its tails reach farther than a normal distribution's of its scale,
    // and it is larger off the frontier.
    EXPECT_GT(sd * sd, covariance[i * 3 + i]);
    EXPECT_LT(sd * sd - covariance[i * 3 + i], 3 * noise);
    for (size_t j = 0; j < 3; ++j) EXPECT_DOUBLE_EQ(covariance[i * 3 + j], covariance[j * 3 + i]);
  }
}

}  // namespace
}  // namespace flywheel::campaign
