#include "campaign/run_forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::campaign {
namespace {

TEST(LeastLoss, OfOneRunIsItsOwnForecast) {
  const std::vector<double> mean = {std::log(2.0)}, covariance = {1e-4};
  const LeastLoss least(mean, covariance);
  for (const double p : {0.05, 0.5, 0.95})
    EXPECT_NEAR(std::log(least.quantile(p) / 2), 0.01 * normal_quantile(p), 4e-4) << p;
  EXPECT_NEAR(least.probability_below(2 * std::exp(0.01)), normal_below(1), 0.01);
}

// The minimum of m independent normals lies below x with probability 1 - (1 - Phi(x))^m.
TEST(LeastLoss, OfIndependentRunsIsTheirOrderStatistic) {
  for (const size_t m : {2u, 4u, 8u}) {
    std::vector<double> mean(m, std::log(2.0)), covariance(m * m, 0.0);
    for (size_t i = 0; i < m; ++i) covariance[i * m + i] = 1e-4;
    const LeastLoss least(mean, covariance);
    for (const double p : {0.05, 0.5, 0.95}) {
      const double exact = normal_quantile(1 - std::pow(1 - p, 1.0 / static_cast<double>(m)));
      EXPECT_NEAR(std::log(least.quantile(p) / 2), 0.01 * exact, 4e-4) << m << " " << p;
      EXPECT_NEAR(least.probability_below(2 * std::exp(0.01 * exact)), p, 0.012) << m << " " << p;
    }
  }
}

TEST(LeastLoss, RunsThatMoveTogetherGainNothingByTheirNumber) {
  const std::vector<double> mean(4, std::log(2.0)), covariance(16, 1e-4);
  const LeastLoss least(mean, covariance);
  EXPECT_NEAR(least.quantile(0.5), 2, 1e-3);
}

TEST(IntervalScore, IsTheWidthAndTwentyTimesTheMiss) {
  EXPECT_NEAR(interval_score(1.98, 2.02, 2.0), 100 * std::log(2.02 / 1.98), 1e-9);
  EXPECT_NEAR(interval_score(1.98, 2.02, 2.04), 100 * (std::log(2.02 / 1.98) + 20 * std::log(2.04 / 2.02)), 1e-9);
}

// Made-up ladders with replicates of one size on every rung: the best of the top rung's runs, forecast from below.
struct Simulated {
  std::vector<double> pit;
  double score = 0, width = 0;
};
Simulated simulate(const scaling::Ladder& world, int trials) {
  Simulated result;
  for (int trial = 0; trial < trials; ++trial) {
    Rng rng(static_cast<uint64_t>(trial) + 100);
    const std::vector<scaling::Point> points = scaling::make_ladder(world, static_cast<uint64_t>(trial) + 1);
    const double top = points.back().C;
    std::vector<LadderPoint> below;
    std::vector<RunSite> sites;
    double measured = INFINITY;
    for (size_t i = 0; i < points.size(); ++i) {
      const scaling::Point& p = points[i];
      if (p.C > 0.9 * top) {
        sites.push_back({.N = p.N, .D = p.D});
        measured = std::min(measured, p.L);
        continue;
      }
      LadderPoint point{.rung_flops = p.C, .mean = p, .losses = {p.L}};
      if (i % static_cast<size_t>(world.sizes) == 1) {
        const double truth = p.L * std::exp(-world.noise * rng.normal());
        for (int replicate = 0; replicate < 3; ++replicate)
          point.losses.push_back(truth * std::exp(world.noise * rng.normal()));
        point.mean.L = mean(point.losses);
      }
      below.push_back(std::move(point));
    }
    const RunForecasts forecasts = forecast_runs(below, sites);
    const LeastLoss least(forecasts.ln_loss, forecasts.covariance);
    result.pit.push_back(least.probability_below(measured));
    result.score += interval_score(least.quantile(0.05), least.quantile(0.95), measured) / trials;
    result.width += 100 * std::log(least.quantile(0.95) / least.quantile(0.05)) / trials;
  }
  return result;
}

double inside(const std::vector<double>& pit) {
  double count = 0;
  for (const double p : pit) count += p >= 0.05 && p <= 0.95;
  return count / static_cast<double>(pit.size());
}

TEST(RunForecasts, TheBestOfTheTopRungIsInsideAsOftenAsTheIntervalSays) {
  constexpr int kTrials = 60;
  for (const double noise : {0.002, 0.005}) {
    scaling::Ladder world;
    world.rungs = 6;
    world.sizes = 4;
    world.factor = 1.8;
    world.lowest = 1e10;
    world.noise = noise;
    const Simulated simulated = simulate(world, kTrials);
    const double coverage = inside(simulated.pit);
    RecordProperty("coverage", std::to_string(coverage));
    // Three binomial deviations of 60 trials about 0.9.
    EXPECT_NEAR(coverage, 0.9, 0.116) << noise << " width " << simulated.width;
    EXPECT_NEAR(mean(simulated.pit), 0.5, 3 * std::sqrt(1.0 / 12 / kTrials) + 0.05) << noise;
  }
}

// Between new text and none, both ends of it within the interval; runs that repeat nothing are as before.
TEST(RunForecasts, RepeatedTextIsWorthSomethingBetweenNewTextAndNothing) {
  std::vector<LadderPoint> below;
  for (const double flops : {1e10, 2e10, 4e10, 8e10})
    for (const double N : {5e3, 1e4, 2e4}) {
      const double D = flops / (6 * N);
      LadderPoint& point = below.emplace_back();
      point.rung_flops = flops;
      point.mean = {.N = N, .D = D, .L = 1 + 40 / std::pow(N, 0.45) + 150 / std::pow(D, 0.42), .C = flops};
      point.losses = {point.mean.L};
    }
  const RunForecasts as_new = forecast_runs(below, std::vector<RunSite>{{.N = 1e4, .D = 3e6}, {.N = 4e4, .D = 7e5}});
  const RunForecasts none = forecast_runs(below, std::vector<RunSite>{{.N = 1e4, .D = 1e6}, {.N = 4e4, .D = 7e5}});
  const RunForecasts repeated = forecast_runs(
      below, std::vector<RunSite>{{.N = 1e4, .D = 3e6, .unique = 1e6}, {.N = 4e4, .D = 7e5, .unique = 1e6}});
  const double gap = none.ln_loss[0] - as_new.ln_loss[0];
  ASSERT_GT(gap, 0.005);
  EXPECT_NEAR(repeated.ln_loss[0], as_new.ln_loss[0] + 0.5 * gap, 1e-9);
  EXPECT_NEAR(repeated.covariance[0], as_new.covariance[0] + 0.25 * gap * gap, 1e-12);
  EXPECT_EQ(repeated.ln_loss[1], as_new.ln_loss[1]);
  EXPECT_EQ(repeated.covariance[3], as_new.covariance[3]);
}

}  // namespace
}  // namespace flywheel::campaign
