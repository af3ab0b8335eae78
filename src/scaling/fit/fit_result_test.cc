#include "scaling/fit/fit_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "base/error.h"
#include "scaling/fit/plan.h"

namespace flywheel::scaling {
namespace {

std::string ladder(double outlier) {
  std::ostringstream csv;
  csv << "N,D,loss\n";
  for (double C = 1e17; C < 2e21; C *= 10)
    for (const double ratio : {0.25, 0.5, 1.0, 2.0, 4.0}) {
      const double N = ratio * std::sqrt(C / 120), D = C / (6 * N);
      csv << N << "," << D << ","
          << (C > 5e18 && C < 5e19 && ratio == 1 ? outlier : 1) *
                 (1.8 + 480 * std::pow(N, -0.35) + 2100 * std::pow(D, -0.37))
          << "\n";
    }
  return csv.str();
}

FitResult result_of(const std::string& csv, const FitRequest& request) {
  return fit_input(request, fit_inputs(csv, "t.csv", request).front(), {{1e9, 2e10, 0}});
}

TEST(FitResult, HoldsWhatIsPrintedOfAFit) {
  const FitResult result = result_of(ladder(1), {.forms = {"chinchilla", "tied"}, .bootstrap = 10});
  EXPECT_NEAR(result.first().law.parameters.at("alpha"), 0.35, 0.01);
  ASSERT_TRUE(result.optimum.identified) << result.optimum.why;
  EXPECT_NEAR(result.optimum.a.value, 0.37 / 0.72, 0.02);
  ASSERT_EQ(result.forecast.size(), 3U);
  EXPECT_NEAR(result.forecast[1].flops / 1e22, 1, 1e-5);  // the table has six digits
  EXPECT_FALSE(result.by_distance.empty());
  ASSERT_EQ(result.predictions.size(), 1U);
  EXPECT_NEAR(result.predictions[0].averaged, 1.8 + 480 * std::pow(1e9, -0.35) + 2100 * std::pow(2e10, -0.37), 0.02);
}

TEST(FitResult, OutliersAreDroppedWhenAsked) {
  FitRequest request{.forms = {"chinchilla"}, .bootstrap = 0};
  const FitResult kept = result_of(ladder(1.3), request);
  ASSERT_EQ(kept.outliers.size(), 1U);
  EXPECT_FALSE(kept.dropped);
  request.drop_outliers = true;
  const FitResult dropped = result_of(ladder(1.3), request);
  EXPECT_TRUE(dropped.dropped);
  EXPECT_EQ(dropped.input.table.points.size() + 1, kept.input.table.points.size());
  EXPECT_EQ(dropped.outlier_table.points.size(), kept.input.table.points.size());
}

// Stated four times over, a table says what it says once.
TEST(FitResult, RowsStatedAgainAddNothing) {
  const std::string once = ladder(1.01);
  const size_t header = once.find('\n') + 1;
  std::string four = once;
  for (int i = 0; i < 3; ++i) four += once.substr(header);
  const FitRequest request{.forms = {"chinchilla"}, .bootstrap = 20};
  const FitResult a = result_of(once, request), b = result_of(four, request);
  EXPECT_EQ(a.input.table.points.size(), b.input.table.points.size());
  EXPECT_EQ(a.first().interval95, b.first().interval95);
  EXPECT_EQ(a.forecast[1].optimum.N_low, b.forecast[1].optimum.N_low);
  EXPECT_EQ(a.forecast[1].optimum.high, b.forecast[1].optimum.high);
  EXPECT_TRUE(a.input.table.warnings.empty());
  EXPECT_EQ(b.input.table.warnings.size(), 1U);
}

// The table without the row, and not one that reaches a billion times as far.
TEST(FitResult, ACellInAnotherUnitSetsNoRange) {
  std::string good = ladder(1), bad = good, without = good;
  size_t line = 0;
  for (int i = 0; i < 8; ++i) line = good.find('\n', line) + 1;
  const size_t comma = good.find(',', line), end = good.find('\n', line) + 1;
  ASSERT_EQ(good.substr(comma - 4, 4), "e+07");
  bad.replace(comma - 2, 2, "16");
  without.erase(line, end - line);
  const FitRequest request{.forms = {"chinchilla"}, .bootstrap = 10};
  const FitResult mended = result_of(without, request), result = result_of(bad, request);
  EXPECT_EQ(result.optimum.highest_flops, mended.optimum.highest_flops);
  EXPECT_EQ(result.optimum.reach_flops, mended.optimum.reach_flops);
  EXPECT_EQ(result.forecast[0].optimum.N, mended.forecast[0].optimum.N);
  ASSERT_EQ(result.input.table.warnings.size(), 1U);
  EXPECT_THAT(result.input.table.warnings[0],
              ::testing::AllOf(::testing::HasSubstr("line 9: N"), ::testing::HasSubstr("1e+09 times too large")));
}

TEST(FitResult, PlansAndFitsShareOneOptimum) {
  const FitResult fitted = result_of(ladder(1), {.forms = {"chinchilla", "tied", "kappa"}, .bootstrap = 10});
  const PlanRuns runs = plan_runs("t", parse_runs(ladder(1), "t.csv").points, {});
  const PlanResult plan = make_plans(runs, {.budgets = {fitted.forecast[1].flops}, .bootstrap = 10});
  EXPECT_EQ(plan.plans[0].allocation.N.value, fitted.forecast[1].optimum.N);
  EXPECT_EQ(plan.plans[0].allocation.N.high, fitted.forecast[1].optimum.N_high);
  EXPECT_EQ(plan.plans[0].allocation.loss.loss, fitted.forecast[1].optimum.loss);
  EXPECT_EQ(plan.optimum.a.value, fitted.optimum.a.value);
}

TEST(FitInput, FewerRunsThanAnIntervalNeedsAreRefused) {
  const FitRequest request{.forms = {"chinchilla"}, .bootstrap = 0};
  EXPECT_THROW(fit_inputs("N,D,L\n1e6,2e7,3\n", "t.csv", request), Error);
  EXPECT_THROW(fit_inputs("N,D,L\n1e6,2e7,3\n1e6,2e7,3.1\n2e6,4e7,2.9\n4e6,8e7,2.8\n", "t.csv", request), Error)
      << "two seeds of one size and length are one";
  EXPECT_NO_THROW(fit_inputs("N,D,L\n1e6,2e7,3\n2e6,4e7,2.9\n4e6,8e7,2.8\n8e6,2e8,2.7\n", "t.csv", request));
}

TEST(FitInput, FormNamesAreAListOrAll) {
  EXPECT_THAT(form_names("tied,kappa"), ::testing::ElementsAre("tied", "kappa"));
  EXPECT_EQ(form_names("all").front(), "chinchilla");
}

TEST(PlanResult, HasTimesWhereARateIsKnownAndServesWhereAsked) {
  const PlanRuns runs = plan_runs("t", parse_runs(ladder(1), "t.csv").points, {});
  PlanRequest request{.budgets = {1e21, 1e22}, .bootstrap = 0};
  const PlanResult plain = make_plans(runs, request);
  ASSERT_EQ(plain.plans.size(), 2U);
  EXPECT_EQ(plain.plans[0].seconds, 0);
  EXPECT_FALSE(plain.plans[0].served || plain.plans[0].learning_rate);
  request.flops_per_second = 1e15, request.devices = 10, request.served_tokens = 1e13;
  const Plan timed = make_plans(runs, request).plans[0];
  EXPECT_DOUBLE_EQ(timed.seconds, 1e5);
  ASSERT_TRUE(timed.served && timed.served->same_loss);
  EXPECT_LT(timed.served->same_loss->served.N, timed.allocation.N.value) << "a model that is served is smaller";
}

}  // namespace
}  // namespace flywheel::scaling
