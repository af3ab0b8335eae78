#include "scaling/forecast/design.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>

#include "base/error.h"
#include "base/rng.h"
#include "scaling/allocation/allocation.h"
#include "scaling/laws/form.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

Law law_of(const Ladder& ladder) {
  Law law;
  law.form = "chinchilla";
  law.parameters = {{"A", ladder.A}, {"B", ladder.B}, {"E", ladder.E}, {"alpha", ladder.alpha}, {"beta", ladder.beta}};
  return law;
}

DesignSite site(double N, double C) {
  return {N, C / (6 * N), C};
}

DesignProblem problem_of(const Ladder& ladder) {
  DesignProblem problem;
  problem.law = law_of(ladder);
  for (const Point& p : make_ladder(ladder, 1)) problem.candidates.push_back(site(p.N, p.C));
  const double target = 1000 * ladder.lowest;
  problem.target = site(0.7 * std::sqrt(target / 6), target);
  return problem;
}

TEST(Design, VarianceIsTheClosedFormOfTheLinearisedLaw) {
  DesignProblem problem = problem_of({});
  problem.noise_sd = 0.01;
  problem.existing.assign(problem.candidates.begin(), problem.candidates.begin() + 10);
  Design design(problem);
  design.add(17);
  design.add(17);
  design.add(20);
  const Theta theta = chinchilla_form().internal(problem.law.parameters);
  const auto gradient = [&](const DesignSite& s) {
    std::vector<double> g(kMaxParameters, 0.0);
    chinchilla_form().log_loss(theta.data(), run_of({.N = s.N, .D = s.D, .C = s.flops}), g.data(), nullptr);
    return Eigen::VectorXd(Eigen::Map<Eigen::VectorXd>(g.data(), 5));
  };
  Eigen::MatrixXd information = Eigen::MatrixXd::Identity(5, 5) / (kPriorSd * kPriorSd);
  std::vector<DesignSite> runs = problem.existing;
  for (const size_t c : {17, 17, 20}) runs.push_back(problem.candidates[c]);
  for (const DesignSite& run : runs)
    information += gradient(run) * gradient(run).transpose() / (problem.noise_sd * problem.noise_sd);
  const Eigen::VectorXd g = gradient(problem.target);
  EXPECT_NEAR(design.target_sd() / std::sqrt(g.dot(information.ldlt().solve(g))), 1, 1e-5);
}

TEST(Design, EveryRunTightensAndTheBudgetHolds) {
  DesignProblem problem = problem_of({});
  const double budget = 3e13;
  double before = Design(problem).target_sd(), spent = 0;
  for (const DesignChoice& choice : choose_runs(problem, budget)) {
    EXPECT_LT(choice.sd_after, before);
    EXPECT_LT(choice.sd_after, choice.sd_before);
    EXPECT_NEAR(choice.flops, choice.replicates * problem.candidates[choice.candidate].flops, 1);
    spent += choice.flops;
  }
  EXPECT_GT(spent, 0.5 * budget);
  EXPECT_LE(spent, budget);
}

TEST(Design, NextRunIsTheFirstChosenAndFitsTheBudget) {
  DesignProblem problem = problem_of({});
  problem.existing.assign(problem.candidates.begin(), problem.candidates.begin() + 15);
  const DesignChoice next = next_run(problem, 1e14);
  ASSERT_GT(next.replicates, 0);
  EXPECT_LT(next.sd_after, next.sd_before);
  EXPECT_EQ(next.candidate, choose_runs(problem, 1e14).front().candidate);
  EXPECT_EQ(next_run(problem, 1e10).replicates, 0);  // nothing is that cheap
}

TEST(Design, DriftOfTheLawCallsForRunsNearerTheTarget) {
  DesignProblem problem = problem_of({});
  const auto mean_ln_flops = [&] {
    double sum = 0, runs = 0;
    for (const DesignChoice& choice : choose_runs(problem, 1e14)) {
      sum += choice.replicates * std::log(problem.candidates[choice.candidate].flops);
      runs += choice.replicates;
    }
    return sum / runs;
  };
  const double faithful = mean_ln_flops();
  problem.discrepancy = drift_discrepancy(1e11, 0.05);
  EXPECT_GT(mean_ln_flops(), faithful);
}

TEST(Design, RefusesWhatIsNoRun) {
  DesignProblem problem = problem_of({});
  problem.candidates[0].N = 0;
  EXPECT_THROW(Design{problem}, Error);
  problem.candidates.clear();
  EXPECT_THROW(Design{problem}, Error);
}

// Root mean square error of the forecast at the target, in ln L, of laws fitted to the runs at `sites`.
double forecast_error(const Ladder& ladder, const std::vector<DesignSite>& sites, const DesignSite& target, int seeds) {
  FitOptions options = published_options();
  options.bootstrap = 0;
  options.prior = 0.5;
  const Law truth = law_of(ladder);
  double square = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    Rng rng(static_cast<uint64_t>(seed), 7);
    std::vector<Point> points;
    for (const DesignSite& s : sites)
      points.push_back({s.N, s.D, truth.loss(s.N, s.D) * std::exp(ladder.noise * rng.normal()), s.flops});
    const double error = std::log(fit(points, options).law.loss(target.N, target.D) / truth.loss(target.N, target.D));
    square += error * error / seeds;
  }
  return std::sqrt(square);
}

// The measured ratio is in docs/plan.md; the bound leaves room for the sampling error of the two root mean squares, 4%
// each.
TEST(Design, NeedsFewerFlopsThanTheIsoflopGridForTheSameForecastError) {
  const Ladder ladder;
  DesignProblem problem = problem_of(ladder);
  problem.noise_sd = ladder.noise;
  constexpr int kSeeds = 100;
  double grid_flops = 0;
  for (const DesignSite& s : problem.candidates) grid_flops += s.flops;
  const double grid_error = forecast_error(ladder, problem.candidates, problem.target, kSeeds);
  std::printf("isoFLOP grid: %zu runs, %.3g FLOPs, error %.3f%%\n", problem.candidates.size(), grid_flops,
              100 * grid_error);
  double error = INFINITY;
  for (const double share : {0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7}) {
    std::vector<DesignSite> sites;
    for (const DesignChoice& choice : choose_runs(problem, share * grid_flops))
      sites.insert(sites.end(), static_cast<size_t>(choice.replicates), problem.candidates[choice.candidate]);
    error = forecast_error(ladder, sites, problem.target, kSeeds);
    std::printf("design: share %.2f, %zu runs, error %.3f%%\n", share, sites.size(), 100 * error);
    if (error <= grid_error) break;
  }
  EXPECT_LE(error, grid_error);
}

}  // namespace
}  // namespace flywheel::scaling
