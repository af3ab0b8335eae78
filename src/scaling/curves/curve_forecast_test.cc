#include "scaling/curves/curve_forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scaling/curves/synthetic_curves.h"

namespace flywheel::scaling {
namespace {

std::vector<Curve> five_curves(const MadeLaw& law, double noise, uint64_t seed, double N = 0) {
  Rng rng(seed);
  return {made_curve("level", law, kLevel, 3000, noise, rng, N, 4e5),
          made_curve("cosine-short", law, kCosine, 1000, noise, rng, N, 4e5),
          made_curve("cosine", law, kCosine, 3000, noise, rng, N, 4e5),
          made_curve("wsd-short", law, kStableDecay, 1000, noise, rng, N, 4e5),
          made_curve("wsd", law, kStableDecay, 3000, noise, rng, N, 4e5)};
}

TEST(CurveForecast, PredictsTheEndOfARunThatHasNotDecayedYetWithAnInterval) {
  const MadeLaw made;
  std::vector<Curve> curves = five_curves(made, 0.002, 6);
  Rng rng(7);
  Curve longer = made_curve("longer", made, kStableDecay, 5000, 0, rng);
  const double truth = longer.losses.back().loss;
  longer.losses.resize(20);  // half of it, before the decay
  curves.push_back(longer);
  const CurveForecaster forecaster = curve_forecaster(curves, {});
  EXPECT_EQ(forecaster.longer.groups, 1u);
  const CurvePrediction end = forecast_end(forecaster, longer);
  EXPECT_EQ(end.step, 5000);
  EXPECT_LT(end.low, truth);
  EXPECT_GT(end.high, truth);
  EXPECT_LT(end.high / end.low, 1.06);
}

TEST(CurveForecast, WhatIsNewAboutARunWidensItsInterval) {
  const std::vector<Curve> curves = five_curves({}, 0.002, 11);
  const CurveForecaster forecaster = curve_forecaster(curves, {});
  Rng rng(12);
  const CurvePrediction like = forecast_end(forecaster, made_curve("like", {}, kStableDecay, 2000, 0, rng));
  EXPECT_EQ(like.basis, HeldOutFor::kCurves);
  const Shape stairs = [](double x) { return x < 0.4 ? 1.0 : x < 0.8 ? 0.3 : 0.1; };
  const CurvePrediction other = forecast_end(forecaster, made_curve("other", {}, stairs, 2000, 0, rng));
  EXPECT_GE(std::log(other.high / other.low), std::log(like.high / like.low));
}

TEST(CurveForecast, GivesNoIntervalWhereNothingLikeItCouldBeHeldOut) {
  std::vector<Curve> curves = five_curves({.K = 0.3}, 0.001, 13, 4e5);
  for (const Curve& curve : five_curves({.K = 0.3}, 0.001, 14, 1e5)) curves.push_back(curve);
  const CurveForecaster forecaster = curve_forecaster(curves, {});
  Rng rng(15);
  const CurvePrediction third =
      forecast_end(forecaster, made_curve("x", {.K = 0.3}, kCosine, 2000, 0, rng, 1.6e6, 4e5));
  EXPECT_EQ(third.basis, HeldOutFor::kNone);
  EXPECT_TRUE(std::isnan(third.low));
  EXPECT_TRUE(std::isfinite(third.loss));
}

TEST(CurveForecast, TheFormThatPredictsHeldOutCurvesBestIsTaken) {
  // A loss that knows no schedule.
  std::vector<Curve> plain = five_curves({}, 0, 1);
  for (Curve& curve : plain)
    for (LossPoint& point : curve.losses) point.loss = 1.5 + 5 * std::pow(point.step, -0.4);
  const CurveForecaster forecaster = curve_forecaster(plain, {});
  EXPECT_EQ(forecaster.one_out.groups, plain.size());
  for (const CurveError& error : forecaster.one_out.errors) EXPECT_LT(std::abs(error.final), 0.002);
  EXPECT_NE(curve_forecaster(five_curves({}, 0.001, 10), {}).law.layout.form, CurveForm::kTokens);
}

}  // namespace
}  // namespace flywheel::scaling
