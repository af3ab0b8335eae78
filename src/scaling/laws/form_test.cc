// Every form of the table: its derivatives against differences, and the law that made the runs found again.
#include "scaling/laws/form.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {
namespace {

struct Truth {
  const char* form;
  std::map<std::string, double> parameters;
};

class EveryForm : public testing::TestWithParam<Truth> {
 protected:
  const Form& form() const { return *find_form(GetParam().form); }
  Theta truth() const { return form().internal(GetParam().parameters); }

  // Sizes and lengths on a grid, several epochs of the data for the longest runs.
  std::vector<Point> runs(double noise) const {
    Rng rng(7);
    std::vector<Point> points;
    const Theta theta = truth();
    for (int n = 0; n < 8; ++n)
      for (int d = 0; d < 8; ++d) {
        Point p;
        p.N = 1e6 * std::pow(2.5, n);
        p.D = 1e7 * std::pow(3.0, d);
        p.C = 6 * p.N * p.D;
        p.U = d % 2 == 0 ? p.D : std::min(p.D, 2e8);
        p.L = std::exp(form().log_loss(theta.data(), run_of(p), nullptr, nullptr) + noise * rng.normal());
        points.push_back(p);
      }
    return points;
  }
};

TEST_P(EveryForm, DerivativesMatchDifferences) {
  const size_t n = form().parameters.size();
  const Theta at = truth();
  for (const Point& p : runs(0)) {
    const scaling::Run run = run_of(p);
    double gradient[kMaxParameters], hessian[kMaxParameters * kMaxParameters];
    form().log_loss(at.data(), run, gradient, hessian);
    for (size_t a = 0; a < n; ++a) {
      const double step = 2e-6;  // fourth derivatives reach 1e5 in data_constrained
      Theta up = at, down = at;
      up[a] += step, down[a] -= step;
      double above[kMaxParameters], below[kMaxParameters];
      const double rise = form().log_loss(up.data(), run, above, nullptr);
      const double fall = form().log_loss(down.data(), run, below, nullptr);
      EXPECT_NEAR(gradient[a], (rise - fall) / (2 * step), 1e-7 * (1 + std::abs(gradient[a])));
      for (size_t b = a; b < n; ++b) {
        const double bend = hessian[a * kMaxParameters + b];
        EXPECT_NEAR(bend, (above[b] - below[b]) / (2 * step), 1e-6 * (1 + std::abs(bend)));
      }
    }
  }
}

TEST_P(EveryForm, SumsOverRunsMatchTheSingleOnes) {
  const Theta at = truth();
  Sample sample;
  Rng rng(3);
  for (const Point& p : runs(0.01))
    if (sample.size() < 61) sample.add(run_of(p), std::log(p.L), rng.uniform());  // not a multiple of any lane count
  const double delta = 0.005;
  double value = 0, slope[kMaxParameters] = {};
  for (size_t i = 0; i < sample.size(); ++i) {
    double gradient[kMaxParameters];
    const double r = form().log_loss(at.data(), sample.run(i), gradient, nullptr) - sample.ln_l[i];
    const bool inside = std::abs(r) <= delta;
    value += sample.weight[i] * (inside ? 0.5 * r * r : delta * (std::abs(r) - 0.5 * delta));
    for (size_t a = 0; a < at.size(); ++a)
      slope[a] += sample.weight[i] * (inside ? r : std::copysign(delta, r)) * gradient[a];
  }
  Sums sums{};
  form().evaluate.expand(at.data(), sample, delta, sums);
  EXPECT_NEAR(sums.value, value, 1e-12);
  EXPECT_NEAR(form().evaluate.value(at.data(), sample, delta), value, 1e-12);
  for (size_t a = 0; a < at.size(); ++a) EXPECT_NEAR(sums.gradient[a], slope[a], 1e-10 * (1 + std::abs(slope[a])));
}

TEST_P(EveryForm, FindsTheLawThatMadeTheRuns) {
  FitOptions options = published_options();
  options.form = form().name;
  options.bootstrap = 0;
  options.compute_sees_frontier = false;
  const Fit exact = fit(runs(0), options);
  EXPECT_TRUE(exact.identified);
  for (const auto& [name, value] : GetParam().parameters)
    EXPECT_NEAR(exact.law.parameters.at(name) / value, 1, 0.01) << name;
  EXPECT_LT(exact.law.residual_sd, 1e-4);
  const Fit noisy = fit(runs(0.003), options);
  EXPECT_LT(noisy.law.residual_sd, 0.006);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, EveryForm,
    testing::Values(
        Truth{"chinchilla", {{"A", 480}, {"B", 2100}, {"E", 1.8}, {"alpha", 0.35}, {"beta", 0.37}}},
        Truth{"tied", {{"A", 480}, {"B", 1300}, {"E", 1.8}, {"alpha", 0.35}}},
        Truth{"kappa", {{"A", 3000}, {"B", 20000}, {"E", 1.5}, {"alpha", 0.5}, {"beta", 0.5}, {"kappa", 0.7}}},
        Truth{"data_constrained",
              {{"A", 480}, {"B", 2100}, {"E", 1.8}, {"alpha", 0.35}, {"beta", 0.37}, {"R_D", 15}, {"R_N", 5}}},
        Truth{"compute", {{"A", 3000}, {"E", 1.7}, {"gamma", 0.2}}},
        Truth{"broken", {{"A", 20}, {"E", 1.2}, {"gamma", 0.07}, {"change", 0.08}, {"break", 1e17}, {"width", 0.6}}}),
    [](const auto& one) { return std::string(one.param.form); });

// Repeats that never fade: the law of all tokens, whatever the constant, to the last digits.
TEST(DataConstrained, WithoutFadingIsTheLawOfAllTokens) {
  const std::map<std::string, double> plain = {{"A", 480}, {"B", 2100}, {"E", 1.8}, {"alpha", 0.35}, {"beta", 0.37}};
  const Theta all_tokens = chinchilla_form().internal(plain);
  for (const double never : {1e12, 1e15, 1e18}) {
    std::map<std::string, double> repeated = plain;
    repeated["R_D"] = repeated["R_N"] = never;
    const Theta theta = data_constrained_form().internal(repeated);
    for (const double epochs : {1.0, 1.0001, 1.5, 4.0, 40.0}) {
      Point p{.N = 3e8, .D = 5e9};
      p.C = 6 * p.N * p.D;
      p.U = p.D / epochs;
      EXPECT_NEAR(data_constrained_form().log_loss(theta.data(), run_of(p), nullptr, nullptr),
                  chinchilla_form().log_loss(all_tokens.data(), run_of(p), nullptr, nullptr), 1e-10)
          << never << ", " << epochs;
    }
  }
}

}  // namespace
}  // namespace flywheel::scaling
