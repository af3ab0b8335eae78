#include "scaling/laws/law.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "scaling/allocation/isoflop.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {
namespace {

TEST(Fit, ReachesTheReferenceOptimumOfTheEpochPoints) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path file = Path(folder != nullptr ? folder : "") / "scaling" / "chinchilla_epoch.csv";
  if (folder == nullptr || !std::filesystem::exists(file))
    GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/chinchilla_epoch.csv";
  std::vector<Point> points = parse_runs(real_file_system().read(file), file.string()).points;
  std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.L > b.L; });
  points.erase(points.begin(), points.begin() + 5);
  FitOptions options = published_options();
  options.bootstrap = 4000;
  const Fit f = fit(points, options);
  EXPECT_GE(f.starts, 4500);
  EXPECT_NEAR(f.law.objective, 0.00101827401780, 1e-6 * 0.00101827401780);
  EXPECT_NEAR(f.law.parameters.at("alpha"), 0.347310, 1e-4);
  EXPECT_NEAR(f.law.parameters.at("beta"), 0.367172, 1e-4);
  EXPECT_NEAR(f.law.parameters.at("E"), 1.817218, 1e-4);
  EXPECT_NEAR(f.law.parameters.at("A"), 477.826, 0.05);
  EXPECT_NEAR(f.law.parameters.at("B"), 2143.42, 0.5);
  // The quantiles of 40,000 resamples; 4,000 leave a standard error of about 0.001 in those of E and the exponents.
  const std::map<std::string, std::pair<double, double>> many = {{"A", {285.698, 732.782}},
                                                                 {"B", {1075.1, 5766.57}},
                                                                 {"E", {1.76996, 1.86970}},
                                                                 {"alpha", {0.316687, 0.372431}},
                                                                 {"beta", {0.332998, 0.415162}}};
  for (const auto& [name, range] : many) {
    const double relative = name == "A" ? 0.03 : 0.04;
    const bool amplitude = name == "A" || name == "B";
    EXPECT_NEAR(f.interval95.at(name).first, range.first, amplitude ? relative * range.first : 0.002) << name;
    EXPECT_NEAR(f.interval95.at(name).second, range.second, amplitude ? relative * range.second : 0.002) << name;
  }
}

TEST(Fit, RecoversTheLawThatMadeTheRuns) {
  Ladder ladder;
  ladder.noise = 0;
  ladder.rungs = 6;
  FitOptions options = published_options();
  options.bootstrap = 0;
  const Fit f = fit(make_ladder(ladder, 1), options);
  EXPECT_NEAR(f.law.parameters.at("alpha"), ladder.alpha, 1e-4);
  EXPECT_NEAR(f.law.parameters.at("beta"), ladder.beta, 1e-4);
  EXPECT_NEAR(f.law.parameters.at("E"), ladder.E, 1e-3);
}

TEST(Fit, OneWildRunDoesNotMoveTheForecast) {
  std::vector<Point> points = make_ladder({}, 3);
  FitOptions options;
  options.bootstrap = 0;
  const double before = fit(points, options).law.loss(1e6, 1e8);
  points[7].L *= 3;
  EXPECT_NEAR(fit(points, options).law.loss(1e6, 1e8) / before, 1, 0.01);  // the noise moves it as much
}

TEST(Fit, SameNumbersForASeedAndAnyThreadCount) {
  const std::vector<Point> points = make_ladder({}, 5);
  FitOptions one, three, other;
  one.bootstrap = three.bootstrap = other.bootstrap = 40;
  three.threads = 3;
  other.seed = 2;
  const Fit a = fit(points, one), b = fit(points, three), c = fit(points, other);
  EXPECT_EQ(a.interval95, b.interval95);
  EXPECT_NE(a.interval95, c.interval95);
  EXPECT_EQ(a.law.parameters, c.law.parameters);
}

TEST(Fit, DegenerateRunsGiveNumbersAndSayWhatIsMissing) {
  const std::vector<Point> full = make_ladder({}, 7);
  std::vector<Point> few(full.begin(), full.begin() + 3), one_size, multiple, duplicates(8, full[0]);
  for (int i = 0; i < 8; ++i) {
    one_size.push_back({1e5, 1e6 * (i + 1), 2.5 - 0.1 * i, 0});
    multiple.push_back({1e5 * (i + 1), 2e6 * (i + 1), 2.5 - 0.1 * i, 0});
  }
  for (const auto& points : {few, one_size, multiple, duplicates}) {
    const Fit f = fit(points, {});
    EXPECT_FALSE(f.identified);
    EXPECT_FALSE(f.warnings.empty());
    const double next = f.law.loss(2 * points.back().N, 2 * points.back().D);
    EXPECT_GT(next, 0.3);
    EXPECT_LT(next, 10);
  }
}

TEST(Fit, RefusesWhatIsNoRun) {
  std::vector<Point> points = make_ladder({}, 1);
  for (const double bad : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    std::vector<Point> broken = points;
    broken[4].L = bad;
    EXPECT_THROW(fit(broken, {}), Error);
  }
  EXPECT_THROW(fit({}, {}), Error);
  FitOptions unknown;
  unknown.form = "astrology";
  EXPECT_THROW(fit(points, unknown), Error);
}

TEST(FlopsRule, LearnsAttentionFlopsFromTheRuns) {
  std::vector<Point> points = make_ladder({}, 1);
  const auto per_token = [](double N) { return N * (6 + 600 * std::pow(N, -0.5)); };
  for (Point& p : points) p.C = per_token(p.N) * p.D;
  const FlopsRule rule = flops_rule(points);
  for (const double N : {1e4, 1e6, 1e9}) EXPECT_NEAR(rule.per_token(N) / per_token(N), 1, 1e-6);
  EXPECT_DOUBLE_EQ(flops_rule(make_ladder({}, 1)).per_token(1e6), 6e6);
}

TEST(Isoflop, FindsTheMinimumAndSaysWhenItIsAtTheEdge) {
  std::vector<Point> level;
  for (const double N : {1e5, 2e5, 4e5, 8e5, 1.6e6})
    level.push_back({N, 1, 2 * std::exp(0.03 * std::pow(std::log(N / 5e5), 2)), 0});
  const IsoflopMinimum inner = isoflop_minimum(level);
  EXPECT_NEAR(inner.N / 5e5, 1, 1e-6);
  EXPECT_NEAR(inner.L, 2, 1e-6);
  EXPECT_FALSE(inner.at_edge);
  const IsoflopMinimum edge = isoflop_minimum(std::span(level).first(3).first(2));
  EXPECT_TRUE(edge.at_edge);
  std::vector<Point> falling = {{1e5, 1, 3, 0}, {2e5, 1, 2.8, 0}, {4e5, 1, 2.65, 0}, {8e5, 1, 2.5, 0}};
  const IsoflopMinimum open = isoflop_minimum(falling);
  EXPECT_TRUE(open.at_edge);
  EXPECT_THAT(open.warning, testing::HasSubstr("larger"));
}

}  // namespace
}  // namespace flywheel::scaling
