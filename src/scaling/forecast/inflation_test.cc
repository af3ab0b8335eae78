#include "scaling/forecast/inflation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/statistics.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

// A backtest that far beyond the runs, off by so many standard deviations of its interval.
BacktestRow row(double multiple, double deviations) {
  constexpr double kSd = 0.01;
  BacktestRow row;
  row.decades = std::log10(multiple);
  row.predicted = 2;
  row.low = row.predicted * std::exp(-kNormal90 * kSd);
  row.high = row.predicted * std::exp(kNormal90 * kSd);
  row.measured = row.predicted * std::exp(deviations * kSd);
  return row;
}

TEST(ErrorInflation, NoBacktestsWidenNothing) {
  for (const double multiple : {0.1, 1.0, 3.0, 10.0, 1e4}) EXPECT_DOUBLE_EQ(ErrorInflation().at_multiple(multiple), 1);
  EXPECT_DOUBLE_EQ(inflation_from_backtest({}).largest(), 1);
}

TEST(ErrorInflation, FarFailuresLeaveNearIntervalsAlone) {
  std::vector<BacktestRow> rows;
  for (int i = 0; i < 4; ++i) {
    rows.push_back(row(3, 0.8));
    rows.push_back(row(10, 6));
    rows.push_back(row(30, 8));
  }
  Forecaster forecaster(make_ladder({}, 1));
  const auto log_width = [&](double multiple) {
    const Optimum o = forecaster.compute_optimal(multiple * forecaster.highest_flops());
    return std::log(o.high / o.low);
  };
  const double near = log_width(3), far = log_width(30);
  forecaster.error_inflation = inflation_from_backtest(rows);
  EXPECT_NEAR(log_width(3) / near, 1, 1e-6);
  EXPECT_GT(log_width(30) / far, 4);
}

TEST(ErrorInflation, NearFailuresWidenAllThatIsFarther) {
  const ErrorInflation inflation(std::vector<BacktestRow>(8, row(2, 4)));
  EXPECT_GT(inflation.at_multiple(2), 2.5);
  EXPECT_GT(inflation.at_multiple(100), 2);
  EXPECT_GT(inflation.at_multiple(1), 2);
}

TEST(ErrorInflation, GrowsWithTheNumberOfFailures) {
  const double one = inflation_from_backtest({row(10, 5)}).at_multiple(10);
  const double six = ErrorInflation(std::vector<BacktestRow>(6, row(10, 5))).at_multiple(10);
  EXPECT_NEAR(one, std::sqrt((ErrorInflation::kPriorRows + 25) / (ErrorInflation::kPriorRows + 1)), 1e-9);
  EXPECT_GT(six, one);
}

TEST(ErrorInflation, SmallErrorsNeverNarrow) {
  EXPECT_DOUBLE_EQ(ErrorInflation(std::vector<BacktestRow>(20, row(10, 0.1))).at_multiple(10), 1);
}

TEST(ErrorInflation, OneWildErrorCountsAsTenDeviations) {
  const auto off = [](double deviations) { return inflation_from_backtest({row(10, deviations)}).at_multiple(10); };
  EXPECT_NEAR(off(10), off(100), 1e-9);
}

}  // namespace
}  // namespace flywheel::scaling
