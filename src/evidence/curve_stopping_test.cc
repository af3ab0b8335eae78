#include "evidence/curve_stopping.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

// A run's curve: a power law to its own end, with noise, and a last quarter in which a decaying learning rate brings
// more than the power law knows.
Curve simulate(double end, Rng& rng, double noise = 0.002) {
  Curve curve;
  const double height = 0.5 + 0.1 * rng.normal(), exponent = 0.5 + 0.05 * rng.normal();
  const double cooldown = 0.05 + 0.005 * rng.normal();
  for (int i = 1; i <= 20; ++i) {
    const double f = i / 20.0;
    const double late = std::max(0.0, f - 0.75) / 0.25;
    curve.push_back({f, end + height * (std::pow(f, -exponent) - 1) + cooldown * (1 - late) + noise * rng.normal()});
  }
  return curve;
}

Curve beginning(const Curve& curve, size_t points) {
  return Curve(curve.begin(), curve.begin() + static_cast<std::ptrdiff_t>(points));
}

TEST(CurveStopping, PowerLawIsFoundAgain) {
  Curve curve;
  for (int i = 1; i <= 8; ++i) curve.push_back({0.05 * i, 2 + 0.3 * std::pow(0.05 * i, -0.5)});
  EXPECT_NEAR(*power_law_end(curve), 2.3, 1e-6);
  EXPECT_FALSE(power_law_end(std::span(curve).first(3)).has_value());
}

TEST(CurveStopping, FewCurvesStopNothing) {
  Rng rng(1);
  std::vector<Curve> finished;
  for (int i = 0; i < 18; ++i) finished.push_back(simulate(2, rng));
  const Curve hopeless = beginning(simulate(9, rng), 10);
  EXPECT_FALSE(judge_curve(hopeless, finished, 2, 0.05).stop);
  EXPECT_FALSE(judge_curve(hopeless, {}, 2, 0.05).stop);
  finished.push_back(simulate(2, rng));
  EXPECT_TRUE(judge_curve(hopeless, finished, 2, 0.05).stop);
}

// The promise itself: of runs that would have won, at most the error rate is stopped, judged once, at any fraction.
// Losers are stopped mostly, or the rule would be of no use.
TEST(CurveStopping, WinnersSurviveAtTheStatedRate) {
  for (const size_t points : {5U, 10U, 15U}) {
    Rng rng(points);
    int winners = 0, stopped_winners = 0, losers = 0, stopped_losers = 0;
    for (int world = 0; world < 400; ++world) {
      std::vector<Curve> finished;
      double best = 1e9;
      for (int i = 0; i < 30; ++i) {
        finished.push_back(simulate(2 + 0.05 * rng.normal(), rng));
        best = std::min(best, finished.back().back().loss);
      }
      const Curve curve = simulate(2 + 0.05 * rng.normal(), rng);
      const double end = curve.back().loss, mark = best + 0.03;  // a mark that enough runs beat to count them
      const bool stop = judge_curve(beginning(curve, points), finished, mark, 0.05).stop;
      if (end <= mark)
        ++winners, stopped_winners += stop ? 1 : 0;
      else if (end > mark + 0.08)
        ++losers, stopped_losers += stop ? 1 : 0;
    }
    // 5% of the winners and 3 standard errors.
    EXPECT_LE(stopped_winners, 0.05 * winners + 3 * std::sqrt(0.05 * 0.95 * winners)) << "of " << winners;
    if (points >= 10) {
      EXPECT_GE(stopped_losers, 0.5 * losers) << "of " << losers << " at " << points;
    }
  }
}

// The rule written down before a run keeps the same promise.
TEST(CurveStopping, ALossNamedBeforehandStopsLosersAndSparesWinners) {
  Rng rng(5);
  int winners = 0, stopped_winners = 0, losers = 0, stopped_losers = 0;
  for (int world = 0; world < 1500; ++world) {
    std::vector<Curve> finished;
    for (int i = 0; i < 40; ++i) finished.push_back(simulate(2 + 0.05 * rng.normal(), rng));
    const double mark = 1.97;
    const auto above = stopping_loss(finished, 0.5, mark);
    ASSERT_TRUE(above.has_value());
    const Curve curve = simulate(2 + 0.1 * rng.normal(), rng);
    const bool stop = curve[9].loss > *above;
    const double end = curve.back().loss;
    if (end <= mark)
      ++winners, stopped_winners += stop ? 1 : 0;
    else if (end > mark + 0.15)
      ++losers, stopped_losers += stop ? 1 : 0;
  }
  EXPECT_GT(winners, 300);
  EXPECT_LE(stopped_winners, 0.05 * winners + 3 * std::sqrt(0.05 * 0.95 * winners)) << "of " << winners;
  EXPECT_GE(stopped_losers, 0.5 * losers) << "of " << losers;
}

TEST(CurveStopping, NoLossIsNamedBeforeTheErrorIsKnown) {
  Rng rng(3);
  std::vector<Curve> finished;
  EXPECT_FALSE(stopping_loss(finished, 0.5, 2).has_value());
  for (int i = 0; i < 18; ++i) finished.push_back(simulate(2, rng));
  EXPECT_FALSE(stopping_loss(finished, 0.5, 2).has_value());
  finished.push_back(simulate(2, rng));
  EXPECT_TRUE(stopping_loss(finished, 0.5, 2).has_value());
  EXPECT_FALSE(stopping_loss(finished, 0.01, 2).has_value());  // no curve reaches back so far
}

TEST(CurveStopping, PredictedEndHasAKnownError) {
  Rng rng(9);
  std::vector<Curve> finished;
  for (int i = 0; i < 40; ++i) finished.push_back(simulate(2 + 0.05 * rng.normal(), rng));
  int within = 0;
  for (int i = 0; i < 200; ++i) {
    const Curve curve = simulate(2 + 0.05 * rng.normal(), rng);
    const CurveVerdict verdict = judge_curve(beginning(curve, 10), finished, 1.9);
    within += std::abs(curve.back().loss - verdict.predicted) <= 2 * verdict.sd ? 1 : 0;
  }
  EXPECT_GE(within, 170);
  EXPECT_LE(within, 200);
}

}  // namespace
}  // namespace flywheel::evidence
