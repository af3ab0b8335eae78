#include "scaling/forecast/inflation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

// A backtest that far beyond the runs, off by so many times what backtests are off by where intervals are right: by
// that many times Beliefs::part_error standard deviations of its own. Origins are numbered.
BacktestRow row(int origin, double multiple, double deviations, double share = 1) {
  BacktestRow row;
  row.train_below_flops = 1e15 * (1 + origin);
  row.share = share;
  row.decades = std::log10(multiple);
  row.mean_square = std::min(std::pow(Beliefs{}.part_error * deviations, 2), kLargestSquare);
  return row;
}

// One row an origin.
ErrorInflation of_origins(int origins, double multiple, double deviations) {
  std::vector<BacktestRow> rows;
  for (int i = 0; i < origins; ++i) rows.push_back(row(i, multiple, deviations));
  return ErrorInflation(rows);
}

TEST(ErrorInflation, NoBacktestsChangeNothing) {
  for (const double multiple : {0.1, 1.0, 3.0, 10.0, 1e4}) EXPECT_DOUBLE_EQ(ErrorInflation().at_multiple(multiple), 1);
  EXPECT_DOUBLE_EQ(ErrorInflation(std::vector<BacktestRow>()).at_multiple(10), 1);
  EXPECT_TRUE(ErrorInflation(std::vector<BacktestRow>()).is_one());
}

TEST(ErrorInflation, ErrorsAsLargeAsTheirIntervalsSayChangeLittle) {
  EXPECT_NEAR(of_origins(10, 10, 1).at_multiple(10), 1, 0.05);
}

TEST(ErrorInflation, FarFailuresLeaveNearIntervalsAlone) {
  std::vector<BacktestRow> rows;
  for (int i = 0; i < 8; ++i) {
    rows.push_back(row(i, 3, 1));
    rows.push_back(row(i, 10, 6));
    rows.push_back(row(i, 30, 8));
  }
  Forecaster forecaster(make_ladder({}, 1));
  const auto log_width = [&](double multiple) {
    const Optimum o = forecaster.compute_optimal(multiple * forecaster.highest_flops());
    return std::log(o.high / o.low);
  };
  const double near = log_width(3), far = log_width(30);
  forecaster.error_inflation = ErrorInflation(rows);
  EXPECT_NEAR(log_width(3) / near, 1, 0.05);
  EXPECT_GT(log_width(30) / far, 3);
}

TEST(ErrorInflation, NearFailuresWidenAllThatIsFarther) {
  const ErrorInflation inflation = of_origins(8, 2, 4);
  EXPECT_GT(inflation.at_multiple(1), 2);
  EXPECT_GT(inflation.at_multiple(2), 2.5);
  EXPECT_GT(inflation.at_multiple(100), 2);
}

TEST(ErrorInflation, SmallErrorsNarrowTheMoreOriginsThereAre) {
  const double few = of_origins(2, 10, 0.2).at_multiple(10), many = of_origins(12, 10, 0.2).at_multiple(10);
  EXPECT_LT(few, 0.95);
  EXPECT_GT(few, 0.6);
  EXPECT_LT(many, few);
  EXPECT_GT(many, 0.2);  // no narrower than the errors were
}

TEST(ErrorInflation, GrowsWithTheNumberOfOriginsThatFail) {
  EXPECT_GT(of_origins(6, 10, 5).at_multiple(10), 1.2 * of_origins(1, 10, 5).at_multiple(10));
}

TEST(ErrorInflation, ErrorsOfOneOriginAreOneError) {
  const std::vector<BacktestRow> often(6, row(0, 10, 5));
  EXPECT_DOUBLE_EQ(ErrorInflation(often).at_multiple(10), of_origins(1, 10, 5).at_multiple(10));
}

TEST(ErrorInflation, OneOriginThatFailsAmongManyDecidesLittle) {
  std::vector<BacktestRow> rows;
  for (int i = 0; i < 9; ++i) rows.push_back(row(i, 10, i == 4 ? 10 : 1));
  const double factor = ErrorInflation(rows).at_multiple(10);
  EXPECT_LT(factor, 1.6);  // the root of the mean square is 3.5
  rows[4].share = 0.25;
  EXPECT_LT(ErrorInflation(rows).at_multiple(10), 1.1);
}

// One normal error an origin. Few say nothing on average; many narrow by 7% at most, which is the scale of Student's t
// that normal errors are likeliest under.
TEST(ErrorInflation, RightIntervalsNearlyStayOnAverage) {
  for (const int origins : {1, 3, 8}) {
    double sum = 0;
    constexpr int kTrials = 400;
    for (int trial = 0; trial < kTrials; ++trial) {
      Rng rng(static_cast<uint64_t>(trial), 7);
      std::vector<BacktestRow> rows;
      for (int i = 0; i < origins; ++i) rows.push_back(row(i, 2, rng.normal()));
      sum += std::log(ErrorInflation(rows).at_multiple(2)) / kTrials;
    }
    EXPECT_LT(sum, 0.05) << origins;
    EXPECT_GT(sum, origins < 8 ? -0.05 : -0.08) << origins;
  }
}

TEST(ErrorInflation, OriginsWithFewOfTheRunsSayLittle) {
  const auto failing = [](double share) {
    std::vector<BacktestRow> rows;
    for (int i = 0; i < 3; ++i) rows.push_back(row(i, 3, 5, share));
    return ErrorInflation(rows).at_multiple(3);
  };
  EXPECT_LT(failing(0.1), 1.05);
  EXPECT_GT(failing(0.9), 1.5);
}

TEST(ErrorInflation, LaddersThatTheLawFailsWiden) {
  // From the fifth level on, levels lie 5% above and below the law by turns, so that every later origin is off.
  Ladder ladder;
  ladder.rungs = 9;
  ladder.noise = 0.001;
  std::vector<Point> points = make_ladder(ladder, 1);
  const double widths = ErrorInflation(backtest(points)).at_multiple(3);
  const std::vector<std::vector<size_t>> levels = compute_levels(points);
  for (size_t level = 4; level < levels.size(); ++level)
    for (const size_t i : levels[level]) points[i].L *= 1 + 0.05 * (level % 2 == 0 ? 1 : -1);
  EXPECT_GT(ErrorInflation(backtest(points)).at_multiple(3), 1.3 * widths);
}

}  // namespace
}  // namespace flywheel::scaling
