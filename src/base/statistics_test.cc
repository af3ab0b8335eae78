#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flywheel {
namespace {

TEST(Statistics, QuantilesLieBetweenOrderStatistics) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
  EXPECT_DOUBLE_EQ(median({7, 1, 9}), 7);
  EXPECT_DOUBLE_EQ(median({1, 2, INFINITY}), 2);  // a failed run beside two that were not
  EXPECT_EQ(median({1, INFINITY}), INFINITY);
  EXPECT_EQ(median({INFINITY}), INFINITY);
  EXPECT_DOUBLE_EQ(upper_median({4, 1, 3, 2}), 3);
  EXPECT_DOUBLE_EQ(robust_sd({-1, 1, -1}), 1.4826);
}

TEST(Statistics, MeanAndDeviationOfASample) {
  const std::vector<double> values = {1, 2, 3, 6};
  EXPECT_DOUBLE_EQ(mean(values), 3);
  EXPECT_DOUBLE_EQ(standard_deviation(values), std::sqrt(14.0 / 3));
  EXPECT_DOUBLE_EQ(standard_deviation(std::vector<double>{5}), 0);
}

TEST(Statistics, DistributionsAgreeWithTheirClosedForms) {
  EXPECT_NEAR(normal_quantile(0.95), kNormal90, 1e-14);
  for (const double p : {0.001, 0.05, 0.5, 0.8, 0.975}) {
    EXPECT_NEAR(normal_below(normal_quantile(p)), p, 1e-14);
    EXPECT_NEAR(student_quantile(p, 1), std::tan(M_PI * (p - 0.5)),
                1e-11 * std::abs(std::tan(M_PI * (p - 0.5))) + 1e-14);
    EXPECT_NEAR(student_quantile(p, 2), (2 * p - 1) / std::sqrt(2 * p * (1 - p)), 1e-11);
    EXPECT_NEAR(student_below(student_quantile(p, 3.5), 3.5), p, 1e-12);
    EXPECT_NEAR(chi_squared_quantile(p, 1), std::pow(normal_quantile(0.5 + 0.5 * p), 2), 1e-12);
    EXPECT_NEAR(chi_squared_quantile(p, 2), -2 * std::log1p(-p), 1e-12);
  }
  EXPECT_NEAR(normal_density(0), 1 / std::sqrt(2 * M_PI), 1e-16);
}

// Probability of at most `hits`.
double at_most(int hits, int trials, double p) {
  double sum = 0;
  for (int k = 0; k <= hits; ++k)
    sum += std::exp(std::lgamma(trials + 1) - std::lgamma(k + 1) - std::lgamma(trials - k + 1) + k * std::log(p) +
                    (trials - k) * std::log1p(-p));
  return sum;
}

TEST(Statistics, BinomialIntervalsAreThoseOfClopperAndPearson) {
  EXPECT_NEAR(binomial_interval(0, 100, 0.95).high, 0.0362, 1e-4);
  EXPECT_NEAR(binomial_interval(5, 100, 0.95).high, 0.1128, 1e-4);
  for (const int hits : {1, 5, 60}) {
    const ProbabilityInterval interval = binomial_interval(hits, 100, 0.95);
    EXPECT_NEAR(at_most(hits, 100, interval.high), 0.025, 1e-11);
    EXPECT_NEAR(1 - at_most(hits - 1, 100, interval.low), 0.025, 1e-11);
  }
  EXPECT_EQ(binomial_interval(0, 100, 0.95).low, 0);
  EXPECT_EQ(binomial_interval(7, 7, 0.95).high, 1);
  EXPECT_EQ(binomial_interval(0, 0, 0.95).high, 1);
}

}  // namespace
}  // namespace flywheel
