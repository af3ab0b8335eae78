#include "scaling/allocation/allocation.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "scaling/allocation/optimum_rule.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

// Hoffmann et al. 2022's own law as corrected by Besiroglu et al. 2024: the optimum has a closed form.
constexpr double kA = 482, kB = 2085, kE = 1.82, kAlpha = 0.348, kBeta = 0.366;
double chinchilla(double N, double D) {
  return kE + kA * std::pow(N, -kAlpha) + kB * std::pow(D, -kBeta);
}
double sixfold(double N) {
  return 6 * N;
}

TEST(Allocation, BestSizeIsTheClosedForm) {
  const double G = std::pow(kAlpha * kA / (kBeta * kB), 1 / (kAlpha + kBeta));
  for (const double C : {1e15, 1e21, 1e25})
    EXPECT_NEAR(best_size(chinchilla, sixfold, C) / (G * std::pow(C / 6, kBeta / (kAlpha + kBeta))), 1, 1e-4);
}

TEST(Allocation, BeingOffCostsMoreTheFurtherAndIntervalsHoldTheValue) {
  const std::vector<Point> points = make_ladder({}, 2);
  const Forecaster forecaster(points);
  const OptimumRule rule = optimum_of(points, forecaster);
  ASSERT_TRUE(rule.identified) << rule.why;
  const Allocation plan = allocate(rule, forecaster, 10 * rule.highest_flops);
  EXPECT_NEAR(6 * plan.N.value * plan.D.value / plan.flops, 1, 1e-9);
  EXPECT_EQ(plan.N.value, rule.at(forecaster, plan.flops).N) << "one size for all";
  for (const Range& range : {plan.N, plan.D, plan.tokens_per_parameter, plan.compute_multiple_of_plan}) {
    EXPECT_LE(range.low, range.value);
    EXPECT_GE(range.high, range.value);
  }
  ASSERT_EQ(plan.off.size(), 4u);
  EXPECT_GT(plan.off[0].extra_loss.value, plan.off[1].extra_loss.value);
  EXPECT_GT(plan.off[3].extra_loss.value, plan.off[2].extra_loss.value);
  for (const OffOptimum& off : plan.off) {
    EXPECT_GT(off.extra_loss.value, 0);
    EXPECT_GT(off.compute_multiple.value, 1);
    EXPECT_LE(off.extra_loss.low, off.extra_loss.value);
    EXPECT_GE(off.compute_multiple.high, off.compute_multiple.value);
    // The best size at the FLOPs that are left reaches the same loss.
    const double worth = plan.flops / off.compute_multiple.value;
    EXPECT_NEAR(forecaster.compute_optimal(worth).loss / (plan.loss.loss + off.extra_loss.value), 1, 4e-4);
  }
}

TEST(Allocation, AlongTheLadderNothingIsOff) {
  std::vector<Point> points;
  for (double N = 1e6; N < 1e8; N *= 3) points.push_back({N, 20 * N, 2 + 300 * std::pow(N, -0.3), 0});
  const Forecaster forecaster(points);
  const Allocation plan = allocate(optimum_of(points, forecaster), forecaster, 1e17);
  EXPECT_FALSE(plan.identified);
  EXPECT_TRUE(plan.off.empty());
  EXPECT_NEAR(plan.tokens_per_parameter.value, 20, 0.1);
}

TEST(Allocation, RefusesWhatIsNoBudget) {
  const std::vector<Point> points = make_ladder({}, 2);
  const Forecaster forecaster(points);
  const OptimumRule rule = optimum_of(points, forecaster);
  for (const double flops : {0.0, -1.0, 1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    EXPECT_THROW(allocate(rule, forecaster, flops), Error);
}

TEST(Served, NoInferenceIsComputeOptimal) {
  const double C = 1e21, N = best_size(chinchilla, sixfold, C);
  const Served at_total = best_at_total(chinchilla, sixfold, C, 0);
  EXPECT_NEAR(at_total.N / N, 1, 1e-3);
  const Served at_loss = cheapest_at_loss(chinchilla, sixfold, chinchilla(N, C / (6 * N)), 0);
  EXPECT_NEAR(at_loss.N / N, 1, 2e-3);
  EXPECT_NEAR(at_loss.flops() / C, 1, 1e-5);
}

TEST(Served, MoreInferenceMeansSmallerModelsTrainedLonger) {
  const double C = 1e22, N = best_size(chinchilla, sixfold, C), target = chinchilla(N, C / (6 * N));
  Served last = cheapest_at_loss(chinchilla, sixfold, target, 0);
  for (const double tokens : {1e11, 1e12, 1e13}) {
    const Served served = cheapest_at_loss(chinchilla, sixfold, target, tokens);
    EXPECT_LT(served.N, last.N);
    EXPECT_GT(served.D, last.D);
    EXPECT_NEAR(served.loss, target, 1e-9);
    EXPECT_NEAR(served.inference_flops, 2 * served.N * tokens, 1e-6 * served.inference_flops);
    // Cheaper than the compute-optimal model of the same loss, and than its neighbours.
    EXPECT_LT(served.flops(), C + 2 * N * tokens);
    last = served;
  }
  const Served total = best_at_total(chinchilla, sixfold, C, 1e12);
  EXPECT_NEAR(total.flops() / C, 1, 1e-6);
  EXPECT_LT(total.N, N);
}

TEST(Served, WhatCannotBeReachedHasNoSize) {
  EXPECT_EQ(cheapest_at_loss(chinchilla, sixfold, kE, 1e9).N, 0);
  EXPECT_EQ(best_at_total(chinchilla, sixfold, 1e12, 1e15).N, 0);
}

}  // namespace
}  // namespace flywheel::scaling
