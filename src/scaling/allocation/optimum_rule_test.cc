#include "scaling/allocation/optimum_rule.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/file_system.h"
#include "base/rng.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {
namespace {

using ::testing::HasSubstr;

double six_per_token(double N) {
  return 6 * N;
}

// A known law, noise, and runs at chosen sizes.
struct World {
  double A, B, E, alpha, beta, kappa, noise;
  Rng rng;

  explicit World(uint64_t seed) : rng(seed, 3) {
    kappa = seed % 2 != 0 ? 1 : between(0.5, 1);
    alpha = between(0.25, 0.45) / kappa, beta = between(0.25, 0.45) / kappa;
    E = between(0.3, 1.2), noise = between(0.001, 0.006);
    const double term = between(0.3, 1), middle = 2.9e5 * between(0.5, 2);
    A = term * std::pow(middle, alpha), B = term * std::pow(1e12 / (6 * 2.9e5), beta);
  }
  double between(double low, double high) { return low + (high - low) * rng.uniform(); }
  double loss(double N, double D) const {
    return E + std::pow(A * std::pow(N, -alpha) + B * std::pow(D, -beta), kappa);
  }
  double best(double flops) const {
    return best_size([this](double N, double D) { return loss(N, D); }, six_per_token, flops);
  }
  Point run(double N, double D) { return {N, D, loss(N, D) * std::exp(noise * rng.normal()), 6 * N * D}; }
};

// Levels 3x apart with sizes at these multiples of the world's best.
std::vector<Point> ladder_of(World& world, int levels, const std::vector<double>& multiples) {
  std::vector<Point> points;
  for (int r = 0; r < levels; ++r) {
    const double C = 1e11 * std::pow(3.0, r);
    for (const double m : multiples) {
      const double N = m * world.best(C);
      points.push_back(world.run(N, C / (6 * N)));
    }
  }
  return points;
}

OptimumRule rule_of(const std::vector<Point>& points) {
  return optimum_of(points, Forecaster(points));
}

std::optional<std::vector<Point>> ladder_at_hand(const Path& from_data) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path file = Path(folder != nullptr ? folder : "") / from_data;
  if (folder == nullptr || !std::filesystem::exists(file)) return std::nullopt;
  return parse_runs(real_file_system().read(file), file.string()).points;
}
constexpr const char* kNeedsSharedLadders =
    "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/*.csv of the test";

TEST(OptimumRule, IsIdentifiedWhereLevelsBracketItAndItsIntervalsHoldTheTruth) {
  int size_inside = 0, far_inside = 0, exponent_inside = 0, identified = 0, ladders = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    World world(seed);
    const std::vector<Point> points =
        seed % 3 == 0 ? ladder_of(world, 5, {0.5, 1, 2}) : ladder_of(world, 4, {0.35, 0.7, 1.4, 2.8});
    const Forecaster forecaster(points);
    const OptimumRule rule = optimum_of(points, forecaster);
    ++ladders;
    if (!rule.identified) continue;
    ++identified;
    const double top = rule.highest_flops;
    const Optimum here = rule.at(forecaster, top), far = rule.at(forecaster, 10 * top);
    size_inside += here.N_low <= world.best(top) && world.best(top) <= here.N_high;
    far_inside += far.N_low <= world.best(10 * top) && world.best(10 * top) <= far.N_high;
    const double a = world.beta / (world.alpha + world.beta);
    exponent_inside += rule.a.low <= a && a <= rule.a.high;
    EXPECT_TRUE(rule.runs_to_identify.empty());
  }
  std::printf("%d of %d identified; inside: size %d, size at 10x %d, exponent %d\n", identified, ladders, size_inside,
              far_inside, exponent_inside);
  EXPECT_GE(identified, 0.9 * ladders);
  EXPECT_GE(size_inside, 0.9 * identified);
  EXPECT_GE(far_inside, 0.9 * identified);
  EXPECT_GE(exponent_inside, 0.9 * identified);
}

TEST(OptimumRule, SaysTheIntervalThatIsShown) {
  int widened = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    World world(seed);
    const std::vector<Point> points = ladder_of(world, 4, {0.35, 0.7, 1.4, 2.8});
    const Forecaster forecaster(points);
    const OptimumRule rule = optimum_of(points, forecaster);
    if (!rule.identified) continue;
    const Optimum shown = rule.at(forecaster, rule.highest_flops);
    EXPECT_THAT(rule.why, HasSubstr(fmt::format("known within {:.2g}x (90%)", shown.N_high / shown.N_low)));
    widened += !rule.warnings.empty();
  }
  EXPECT_GT(widened, 0);  // else nothing would tell the two intervals apart
}

TEST(OptimumRule, ThereIsNoneWhereTheRunsDoNotCompareSizes) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    World world(seed);
    std::map<std::string, std::vector<Point>> tables;
    tables["one ratio"] = ladder_of(world, 6, {1});
    for (const Point& p : tables["one ratio"])
      tables["about one ratio"].push_back(world.run(p.N * world.between(0.95, 1.05), p.D));
    for (const double D : {1e6, 3e6, 1e7, 3e7, 1e8}) tables["one size"].push_back(world.run(3e5, D));
    tables["smallest best"] = ladder_of(world, 5, {4, 8, 16, 32});
    tables["largest best"] = ladder_of(world, 5, {1.0 / 32, 1.0 / 16, 1.0 / 8, 1.0 / 4});
    tables["one level"] = ladder_of(world, 1, {0.25, 0.5, 1, 2, 4});
    for (const auto& [name, points] : tables) {
      const Forecaster forecaster(points);
      const OptimumRule rule = optimum_of(points, forecaster);
      EXPECT_FALSE(rule.identified) << name << ", seed " << seed;
      EXPECT_NE(rule.why, "") << name;
      EXPECT_FALSE(rule.runs_to_identify.empty()) << name;
      for (const Approach& approach : rule.approaches) EXPECT_NE(approach.missing, "") << name << ": " << approach.name;
    }
    EXPECT_THAT(rule_of(tables["smallest best"]).why, HasSubstr("smallest size"));
    EXPECT_THAT(rule_of(tables["largest best"]).why, HasSubstr("largest size"));
    const OptimumRule level = rule_of(tables["one level"]);
    EXPECT_FALSE(level.reaches(2 * level.highest_flops)) << "one level says nothing of other compute";
  }
}

TEST(OptimumRule, TheRunsItNamesIdentifyTheOptimum) {
  int found = 0, asked = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed)
    for (const std::vector<double>& multiples : {std::vector<double>{1}, {3, 6, 12}, {1.0 / 12, 1.0 / 6, 1.0 / 3}}) {
      World world(seed);
      std::vector<Point> points = ladder_of(world, 6, multiples);
      OptimumRule rule = rule_of(points);
      if (rule.identified) continue;
      ++asked;
      for (int round = 0; round < 2 && !rule.identified; ++round) {
        for (const WantedRun& run : rule.runs_to_identify) {
          EXPECT_NEAR(6 * run.N * run.D / run.flops, 1, 1e-6);
          EXPECT_LE(run.flops, rule.highest_flops * 1.0001);
          points.push_back(world.run(run.N, run.D));
        }
        rule = rule_of(points);
      }
      found += rule.identified;
    }
  std::printf("%d of %d ladders identified once the runs named were there\n", found, asked);
  EXPECT_GE(asked, 20);
  EXPECT_GE(found, 0.9 * asked);
}

TEST(OptimumRule, ForecastsGoAlongTheLaddersPathWhereThereIsNone) {
  std::vector<Point> points;
  for (double N = 1e7; N < 2e9; N *= 3)
    points.push_back({N, 20 * N, 1.5 + 400 * std::pow(N, -0.34) + 2000 * std::pow(20 * N, -0.37), 0});
  const Forecaster forecaster(points);
  const OptimumRule rule = optimum_of(points, forecaster);
  ASSERT_FALSE(rule.identified);
  const Optimum ten = rule.at(forecaster, 10 * rule.highest_flops);
  EXPECT_NEAR(ten.D / ten.N, 20, 0.1);
  EXPECT_EQ(ten.N_low, ten.N);
  const double truth = 1.5 + 400 * std::pow(ten.N, -0.34) + 2000 * std::pow(ten.D, -0.37);
  EXPECT_NEAR(ten.loss, truth, 0.03);
}

TEST(OptimumRule, IntervalsHoldWhatTheApproachesSay) {
  World world(5);
  const std::vector<Point> points = ladder_of(world, 6, {0.25, 0.5, 1, 2, 4});
  const Forecaster forecaster(points);
  const Fit kappa = fit(points, {.bootstrap = 10, .form = "kappa"});
  const OptimumRule rule = optimum_of(points, forecaster, &kappa);
  ASSERT_TRUE(rule.identified) << rule.why;
  for (const double k : {1.0, 10.0, 100.0}) {
    const Optimum o = rule.at(forecaster, k * rule.highest_flops);
    for (const Approach& approach : rule.approaches) {
      if (!approach.missing.empty() || approach.follows_samples) continue;
      EXPECT_GE(approach.size_at(k * rule.highest_flops), o.N_low * 0.9999) << approach.name;
      EXPECT_LE(approach.size_at(k * rule.highest_flops), o.N_high * 1.0001) << approach.name;
      EXPECT_GE(approach.a, rule.a.low);
      EXPECT_LE(approach.a, rule.a.high);
    }
  }
}

TEST(OptimumRule, PublicLaddersWhoseMinimaLieInsideTheirSizesStayIdentified) {
  for (const char* name :
       {"chinchilla_epoch", "gadre_c4", "gadre_redpajama", "marin_comma_isoflop", "misfitting_best",
        "misfitting_isoflop", "porian_refinedweb_base_long_kaplan_kaplan",
        "porian_refinedweb_base_long_kaplan_standard", "porian_refinedweb_base_short_chinchilla_standard",
        "porian_refinedweb_base_short_kaplan_standard", "porian_refinedweb_tuned_short_const_standard"}) {
    const auto points = ladder_at_hand(Path("scaling") / (std::string(name) + ".csv"));
    if (!points) GTEST_SKIP() << kNeedsSharedLadders;
    const OptimumRule rule = rule_of(*points);
    EXPECT_TRUE(rule.identified) << name << ": " << rule.why;
    EXPECT_GT(rule.a.value, 0.3) << name;
    EXPECT_LT(rule.a.value, 0.9) << name;
  }
}

TEST(OptimumRule, APublishedLadderAtOneRatioHasNoneAndItsPathIsForecast) {
  const auto points = ladder_at_hand("../cases/cerebras_loss2.csv");
  if (!points) GTEST_SKIP() << kNeedsSharedLadders;
  const Forecaster forecaster(*points);
  const OptimumRule rule = optimum_of(*points, forecaster);
  EXPECT_FALSE(rule.identified);
  EXPECT_GE(rule.runs_to_identify.size(), 4U);
  const Optimum o = rule.at(forecaster, 1e23);
  EXPECT_NEAR(o.loss, 1.48, 0.05);
  EXPECT_LT(o.low, 1.48);
  EXPECT_GT(o.high, 1.48);
  EXPECT_NEAR(o.D / o.N, 20, 2);
}

}  // namespace
}  // namespace flywheel::scaling
