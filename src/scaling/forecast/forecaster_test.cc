#include "scaling/forecast/forecaster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/misfit.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

TEST(Misfit, GradientOfTheLawAgreesWithFiniteDifferences) {
  LawVector theta;
  theta << 0.3, -0.2, 0.4, std::log(0.3), std::log(0.25), std::log(0.6);
  for (const auto& [x_n, x_d] : {std::pair{-2.0, 1.0}, {0.0, 0.0}, {3.0, -4.0}}) {
    double gradient[kLawParameters];
    law_value(theta, x_n, x_d, gradient);
    for (int i = 0; i < kLawParameters; ++i) {
      LawVector up = theta, down = theta;
      up[i] += 1e-6, down[i] -= 1e-6;
      const double slope = (law_value(up, x_n, x_d, nullptr) - law_value(down, x_n, x_d, nullptr)) / 2e-6;
      EXPECT_NEAR(gradient[i], slope, 1e-7) << i;
    }
  }
}

TEST(Misfit, ReportedExponentsAreThoseOfThePlainLaw) {
  LawVector theta;
  theta << 0.3, -40, -40, std::log(0.3), std::log(0.25), std::log(0.6);  // only the first term is left
  EXPECT_NEAR(law_value(theta, 2, 0, nullptr) - law_value(theta, 0, 0, nullptr), -0.6, 1e-6);
}

TEST(Forecast, IntervalsHoldOnLaddersTheLawOnlyNearlyFits) {
  int inside = 0, total = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Rng rng(seed, 99);
    Ladder ladder;
    ladder.alpha = 0.3 + 0.12 * rng.uniform();
    ladder.beta = 0.28 + 0.12 * rng.uniform();
    ladder.kappa = 0.75 + 0.5 * rng.uniform();
    ladder.drift = 0.008;
    ladder.noise = 0.003 + 0.004 * rng.uniform();
    ladder.rungs = 6;
    const std::vector<Point> all = make_ladder(ladder, seed);
    const std::vector<Point> below(all.begin(), all.end() - ladder.sizes), top(all.end() - ladder.sizes, all.end());
    Forecaster forecaster(below);
    forecaster.error_inflation = ErrorInflation(backtest(below));
    for (const Point& p : top) {
      const Optimum o = forecaster.predict(p.N, p.D);
      inside += o.low <= p.L && p.L <= o.high;
      ++total;
    }
  }
  const double coverage = static_cast<double>(inside) / total;
  // docs/notes/forecast-backtests.md says 0.78, which 150 ladders tell to 0.03: a processor that rounds otherwise may
  // move it.
  EXPECT_GE(coverage, 0.77);
  EXPECT_LE(coverage, 0.97);
}

TEST(Forecast, IntervalGrowsWithDistance) {
  const Forecaster forecaster(make_ladder({}, 2));
  double width = 0;
  for (const double k : {1.0, 3.0, 10.0, 100.0}) {
    const Optimum o = forecaster.compute_optimal(k * forecaster.highest_flops());
    EXPECT_GT(std::log(o.high / o.low), width);
    width = std::log(o.high / o.low);
  }
}

TEST(Forecast, OptimumIsTheMinimumAlongTheBudget) {
  const Forecaster forecaster(make_ladder({}, 2));
  const auto per_token = [](double N) { return 6 * N + 3000 * std::sqrt(N); };
  const Optimum o = forecaster.compute_optimal(1e14, per_token);
  EXPECT_NEAR(per_token(o.N) * o.D / 1e14, 1, 1e-9);
  EXPECT_LT(o.N_low, o.N);
  EXPECT_GT(o.N_high, o.N);
  for (const double off : {0.9, 1.1})
    EXPECT_GT(forecaster.predict(o.N * off, 1e14 / per_token(o.N * off)).loss, o.loss);
}

TEST(Forecast, OneWildRunDoesNotMoveIt) {
  std::vector<Point> points = make_ladder({}, 3);
  const double before = Forecaster(points).compute_optimal(1e14).loss;
  points[7].L *= 3;
  EXPECT_NEAR(Forecaster(points).compute_optimal(1e14).loss / before, 1, 0.01);  // the noise moves it as much
}

TEST(Forecast, SmoothMisfitIsCarriedOnWhereALawAloneIsBiased) {
  // The frontier bends away from the law by 1% per decade squared, which no choice of its parameters expresses well.
  Ladder ladder;
  ladder.rungs = 8;
  ladder.noise = 0.001;
  std::vector<Point> points = make_ladder(ladder, 4);
  for (Point& p : points) {
    const double decades = std::log10(p.C / 1e11);
    p.L *= std::exp(0.01 * decades * decades + 0.02 * std::sin(2 * std::log(p.D / p.N)));
  }
  const std::vector<Point> below(points.begin(), points.end() - ladder.sizes);
  const Fit plain = fit(below, published_options());
  const Forecaster forecaster(below);
  double law_error = 0, error = 0;
  for (size_t i = below.size(); i < points.size(); ++i) {
    law_error += std::abs(std::log(plain.law.loss(points[i].N, points[i].D) / points[i].L));
    error += std::abs(std::log(forecaster.predict(points[i].N, points[i].D).loss / points[i].L));
  }
  EXPECT_LT(error, 0.5 * law_error);
}

TEST(Forecast, AnyNumberOfRunsFromOneOn) {
  const std::vector<Point> full = make_ladder({}, 7);
  double width = INFINITY;
  for (const size_t count : {size_t{1}, size_t{3}, size_t{10}, full.size()}) {
    const Optimum o = Forecaster(std::span(full).first(count)).predict(1e6, 1e8);
    EXPECT_GT(o.loss, 0.3);
    EXPECT_LT(o.loss, 10);
    EXPECT_LT(std::log(o.high / o.low), width) << count;
    width = std::log(o.high / o.low);
  }
  const std::vector<Point> same(8, full[0]);
  EXPECT_NEAR(Forecaster(same).predict(same[0].N, same[0].D).loss / same[0].L, 1, 0.01);
}

TEST(Forecast, ManyRunsAreMergedAndSayTheSame) {
  Ladder ladder;
  ladder.sizes = 25;
  std::vector<Point> points = make_ladder(ladder, 9);
  const double few = Forecaster(points).compute_optimal(1e14).loss;
  std::vector<Point> many;
  for (uint64_t seed = 0; seed < 40; ++seed)
    for (const Point& p : make_ladder(ladder, seed)) many.push_back(p);
  ASSERT_GT(many.size(), 4 * kMostRuns);
  EXPECT_NEAR(Forecaster(many).compute_optimal(1e14).loss / few, 1, 0.01);
}

TEST(Forecast, RefusesWhatIsNoRun) {
  EXPECT_THROW(Forecaster({}), Error);
  std::vector<Point> points = make_ladder({}, 1);
  points[4].L = NAN;
  EXPECT_THROW(Forecaster{points}, Error);
  EXPECT_THROW(Forecaster(make_ladder({}, 1)).predict(0, 1), Error);
  EXPECT_THROW(Forecaster(make_ladder({}, 1)).compute_optimal(-1), Error);
}

TEST(Backtest, RowsSayHowFarOffAllRunsOfALevelWere) {
  Ladder ladder;
  ladder.rungs = 5;
  const std::vector<Point> points = make_ladder(ladder, 3);
  const std::vector<std::vector<size_t>> levels = compute_levels(points);
  const BacktestRow last = backtest(points).back();
  std::vector<Point> below;
  for (size_t level = 0; level + 1 < levels.size(); ++level)
    for (const size_t i : levels[level]) below.push_back(points[i]);
  const Forecaster forecaster(below);
  double sum = 0;
  for (const size_t i : levels.back()) {
    const Optimum o = forecaster.predict(points[i].N, points[i].D);
    const double sd = std::log(o.high / o.loss) / kNormal90;
    sum += std::pow(std::log(points[i].L / o.loss) / sd, 2);
  }
  EXPECT_NEAR(last.mean_square, sum / static_cast<double>(levels.back().size()), 1e-6);
  EXPECT_DOUBLE_EQ(last.share, static_cast<double>(below.size()) / static_cast<double>(points.size()));
}

TEST(Backtest, ExactLadderIsForecastAndErrorsWidenIntervals) {
  Ladder ladder;
  ladder.rungs = 6;
  ladder.noise = 0.001;
  std::vector<BacktestRow> rows = backtest(make_ladder(ladder, 1));
  ASSERT_EQ(rows.size(), 6u);  // cuts below levels 4, 5 and 6 and everything above each
  for (const BacktestRow& row : rows) EXPECT_LT(std::abs(row.error_percent), 2);
  const double before = ErrorInflation(rows).at_decades(rows.front().decades);
  for (BacktestRow& row : rows) row.mean_square = 16;
  EXPECT_GT(ErrorInflation(rows).at_decades(rows.front().decades), std::max(1.5, 1.5 * before));
}

}  // namespace
}  // namespace flywheel::scaling
