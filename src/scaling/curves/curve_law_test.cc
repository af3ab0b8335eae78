#include "scaling/curves/curve_law.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "scaling/curves/curve_forecast.h"
#include "scaling/curves/synthetic_curves.h"

namespace flywheel::scaling {
namespace {

std::vector<Curve> made_curves(const MadeLaw& law, double noise, uint64_t seed) {
  Rng rng(seed);
  return {made_curve("level", law, kLevel, 3000, noise, rng),
          made_curve("cosine-short", law, kCosine, 1000, noise, rng),
          made_curve("cosine", law, kCosine, 3000, noise, rng),
          made_curve("wsd-short", law, kStableDecay, 1000, noise, rng),
          made_curve("wsd", law, kStableDecay, 3000, noise, rng)};
}

std::vector<Curve> sized_curves(const MadeLaw& law, double noise, uint64_t seed) {
  Rng rng(seed);
  std::vector<Curve> curves;
  for (const double N : {1e5, 4e5, 1.6e6})
    for (const auto& [name, shape] :
         {std::pair{"level", kLevel}, std::pair{"cosine", kCosine}, std::pair{"wsd", kStableDecay}})
      curves.push_back(made_curve(fmt::format("{}-{:.0f}", name, N), law, shape, 2000, noise, rng, N, 4e5));
  return curves;
}

TEST(CurveLaw, DerivativesAreThoseOfFiniteDifferences) {
  const Schedule schedule(made_rates(kStableDecay, 1500, 50, 0.01));
  const std::vector<double> drops[] = {{std::log(0.3), std::log(0.2), std::log(0.6), std::log(0.7)},
                                       {std::log(0.3), std::log(0.2), std::log(0.6), std::log(0.7), std::log(0.4)},
                                       {std::log(0.3), std::log(0.01)},
                                       {}};
  for (const CurveForm form : kCurveForms)
    for (const bool sized : {false, true}) {
      const CurveLayout layout{form, sized};
      std::vector<double> theta = {std::log(1.4), std::log(7.0), std::log(0.45)};
      const std::vector<double>& drop = drops[static_cast<size_t>(form)];
      theta.insert(theta.end(), drop.begin(), drop.end());
      if (sized) theta.insert(theta.end(), {std::log(0.3), std::log(0.35), 0.08});
      ASSERT_EQ(theta.size(), layout.size());
      for (const double step : {200.0, 1200.0, 1500.0}) {
        const CurvePoint point = curve_point(form, schedule, step, 0.01, 0.7);
        std::vector<double> gradient(layout.size());
        curve_loss(layout, theta, point, gradient.data());
        for (size_t i = 0; i < theta.size(); ++i) {
          std::vector<double> up = theta, down = theta;
          up[i] += 1e-5, down[i] -= 1e-5;
          const double slope =
              (curve_loss(layout, up, point, nullptr) - curve_loss(layout, down, point, nullptr)) / 2e-5;
          EXPECT_NEAR(gradient[i], slope, 1e-8) << name_of(form) << " parameter " << i << " step " << step;
        }
      }
    }
}

TEST(CurveLaw, RecoversTheParametersThatMadeTheCurves) {
  const MadeLaw made;
  CurveFitOptions options;
  options.prior = 0;
  const CurveLaw law = fit_curves(made_curves(made, 0, 1), options);
  const auto found = law.parameters();
  EXPECT_NEAR(found.at("L0"), made.E, 0.01);
  EXPECT_NEAR(found.at("A"), made.A, 0.15);
  EXPECT_NEAR(found.at("alpha"), made.alpha, 0.01);
  EXPECT_NEAR(found.at("B"), made.B, 0.02);
  EXPECT_NEAR(found.at("C"), made.C, 0.04);
  EXPECT_NEAR(found.at("beta"), made.beta, 0.08);
  EXPECT_NEAR(found.at("gamma"), made.gamma, 0.08);
}

TEST(CurveLaw, RecoversSizesAndPredictsOneThatWasNotFitted) {
  const MadeLaw made{.K = 0.4, .kappa = 0.4, .nu = 0.1};
  const CurveLaw law = fit_curves(sized_curves(made, 0.001, 3), {});
  const auto found = law.parameters();
  EXPECT_NEAR(found.at("nu"), made.nu, 0.03);
  Rng rng(4);
  const Curve larger = made_curve("larger", made, kStableDecay, 4000, 0, rng, 6.4e6, 4e5);
  const CurveError error = curve_error(law, larger, {});
  EXPECT_LT(std::abs(error.final), 0.015);
  EXPECT_FALSE(error.inside_data);
  EXPECT_THROW(law.predict(made_curve("no size", made, kLevel, 500, 0, rng), std::vector<double>{100}), Error);
}

TEST(CurveLaw, OrderOfDecayMattersAtTheSameSumOfRates) {
  // Both have one sum of rates in the end; one decays early and then stays low, the other late.
  const Shape early = [](double x) { return x <= 0.5 ? 1.0 : 0.2; };
  const Shape late = [](double x) { return x <= 0.5 ? 0.2 : 1.0; };
  const std::vector<RatePoint> falls = made_rates(early, 2000, 0, 0.01), rises = made_rates(late, 2000, 0, 0.01);
  EXPECT_NEAR(Schedule(falls).sum_to(2000), Schedule(rises).sum_to(2000), 1e-9);
  CurveLaw law;
  law.layout = {CurveForm::kMultiPower, false};
  law.theta = {std::log(1.5),  std::log(8.0), std::log(0.5), std::log(0.25),
               std::log(0.15), std::log(0.6), std::log(0.7)};
  law.reference_rates[0] = 0.01;
  const std::vector<double> end = {2000};
  Curve first, second;
  first.rates = falls, second.rates = rises;
  EXPECT_LT(law.predict(first, end)[0], law.predict(second, end)[0] - 0.1);
  law.layout.form = CurveForm::kTokens;
  law.theta.resize(3);
  EXPECT_DOUBLE_EQ(law.predict(first, end)[0], law.predict(second, end)[0]);
}

TEST(CurveLaw, PredictsAHeldOutScheduleBetterThanOneThatKnowsNoSchedule) {
  const std::vector<Curve> curves = made_curves({}, 0.002, 5);
  const std::vector<std::vector<size_t>> shapes = schedule_shapes(curves);
  ASSERT_EQ(shapes, (std::vector<std::vector<size_t>>{{0}, {1, 2}, {3, 4}}));
  CurveFitOptions options;
  const HeldOut held = hold_out(curves, shapes[2], options);
  options.form = CurveForm::kTokens;
  const HeldOut naive = hold_out(curves, shapes[2], options);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_LT(std::abs(held.errors[i].final), 0.006);
    EXPECT_LT(std::abs(held.errors[i].final), std::abs(naive.errors[i].final));
  }
}

TEST(CurveLaw, SaysWhenNoCurveDecays) {
  Rng rng(8);
  const std::vector<Curve> level = {made_curve("a", {}, kLevel, 1000, 0.001, rng),
                                    made_curve("b", {}, kLevel, 2000, 0.001, rng)};
  const CurveLaw law = fit_curves(level, {});
  EXPECT_FALSE(law.decay_seen);
  ASSERT_FALSE(law.warnings.empty());
  EXPECT_NE(law.warnings[0].find("decay"), std::string::npos);
}

TEST(CurveLaw, RefusesWhatItCannotFit) {
  Rng rng(9);
  EXPECT_THROW(fit_curves({}, {}), Error);
  Curve zero = made_curve("zero", {}, kLevel, 500, 0, rng);
  for (RatePoint& r : zero.rates) r.rate = 0;
  EXPECT_THROW(fit_curves(std::vector<Curve>{zero}, {}), Error);
  std::vector<Curve> mixed = {made_curve("a", {}, kLevel, 500, 0, rng),
                              made_curve("b", {}, kLevel, 500, 0, rng, 1e6, 1e6)};
  EXPECT_THROW(fit_curves(mixed, {}), Error);
  Curve warming = made_curve("warming", {}, kLevel, 500, 0, rng);
  warming.losses = {{10, 5.0}};
  EXPECT_THROW(fit_curves(std::vector<Curve>{warming}, {}), Error);
}

}  // namespace
}  // namespace flywheel::scaling
