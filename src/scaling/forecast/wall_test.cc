#include "scaling/forecast/wall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file_system.h"
#include "base/statistics.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {
namespace {

using testing::HasSubstr;

Ladder three_decades() {
  Ladder ladder;
  ladder.rungs = 9;
  ladder.factor = std::pow(1000.0, 1.0 / 8);
  ladder.sizes = 3;
  return ladder;
}

// With a hinge of this change of d ln L / d ln C a decade before the end.
std::vector<Point> bent(std::vector<Point> points, double change) {
  double top = 0;
  for (const Point& p : points) top = std::max(top, flops_of(p));
  for (Point& p : points) p.L *= std::exp(change * std::max(0.0, std::log(10 * flops_of(p) / top)));
  return points;
}

std::vector<Path> public_tables() {
  std::vector<Path> tables;
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  if (folder == nullptr || !std::filesystem::exists(Path(folder) / "scaling")) return tables;
  for (const auto& entry : std::filesystem::directory_iterator(Path(folder) / "scaling"))
    if (entry.path().extension() == ".csv") tables.push_back(entry.path());
  std::sort(tables.begin(), tables.end());
  return tables;
}

std::vector<Point> read(const Path& path) {
  return parse_runs(real_file_system().read(path), path.string()).points;
}

TEST(Wall, SeldomSeenOnSmoothLadders) {
  int walls = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Ladder ladder = three_decades();
    if (seed % 2 == 1) ladder.kappa = 0.8, ladder.drift = 0.003;
    walls += wall_test(make_ladder(ladder, seed)).verdict == WallVerdict::kWall;
  }
  EXPECT_LE(walls, 5);  // 2% of 100 and two standard errors
}

TEST(Wall, NoneSeenOnlyWhereHalfTheSlopeWouldBeCalledAWall) {
  int straight_none = 0, halved_called = 0, halved_none = 0;
  const int ladders = 40;
  for (uint64_t seed = 0; seed < ladders; ++seed) {
    Ladder ladder = three_decades();
    const Wall straight = wall_test(make_ladder(ladder, seed));
    if (straight.verdict == WallVerdict::kNoneSeen) {
      ++straight_none;
      EXPECT_GE(straight.power_halved, 0.8);
      EXPECT_LE(straight.smallest_detectable, 0.55 * std::abs(straight.slope));
    }
    ladder.flatten_after = 2;
    const Wall halved = wall_test(make_ladder(ladder, seed));
    halved_called += halved.verdict == WallVerdict::kWall;
    halved_none += halved.verdict == WallVerdict::kNoneSeen;
  }
  EXPECT_GE(straight_none, ladders / 2);
  EXPECT_GE(halved_called, 0.8 * ladders);
  EXPECT_LE(halved_none, 0.2 * ladders);
}

TEST(Wall, SmallestDetectableChangeIsCalledInAboutFourOfFive) {
  int called = 0, third_called = 0, ladders = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Ladder ladder = three_decades();
    ladder.drift = 0.004;
    const std::vector<Point> points = make_ladder(ladder, seed);
    const double change = wall_test(points).smallest_detectable;
    if (!std::isfinite(change)) continue;
    ++ladders;
    called += wall_test(bent(points, change)).verdict == WallVerdict::kWall;
    third_called += wall_test(bent(points, change / 3)).verdict == WallVerdict::kWall;
  }
  ASSERT_GE(ladders, 50);
  const ProbabilityInterval range = binomial_interval(called, ladders, 0.99);
  EXPECT_LE(range.low, 0.8) << called << " of " << ladders;
  EXPECT_GE(range.high, 0.8) << called << " of " << ladders;
  EXPECT_LE(third_called, 0.4 * ladders);
}

TEST(Wall, SeenAlongAFrontierOfOneSizeALevel) {
  Ladder ladder;
  ladder.rungs = 12, ladder.sizes = 1, ladder.factor = std::pow(1000.0, 1.0 / 11);
  int straight = 0, halved = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    ladder.flatten_after = INFINITY;
    straight += wall_test(make_ladder(ladder, seed)).verdict == WallVerdict::kWall;
    ladder.flatten_after = 2;
    halved += wall_test(make_ladder(ladder, seed)).verdict == WallVerdict::kWall;
  }
  EXPECT_LE(straight, 1);
  EXPECT_GE(halved, 16);
}

TEST(Wall, OneBadRunAtTheTopIsNone) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Ladder ladder = three_decades();
    ladder.sizes = 1;
    std::vector<Point> points = make_ladder(ladder, seed);
    points.back().L *= 1.1;
    EXPECT_NE(wall_test(points).verdict, WallVerdict::kWall);
  }
}

// Loss by the law of Muennighoff et al. 2023, equation 5, with 5e8 unique tokens.
TEST(Wall, RepeatedDataIsNamed) {
  constexpr double kUnique = 5e8, kReuse = 15.4;
  Rng rng(1);
  std::vector<Point> points;
  for (int level = 0; level < 10; ++level)
    for (const double ratio : {10.0, 20.0, 40.0}) {
      Point p;
      p.C = 1e17 * std::pow(10, 0.5 * level);
      p.N = std::sqrt(p.C / 6 / ratio);
      p.D = p.C / 6 / p.N;
      p.U = std::min(p.D, kUnique);
      const double fresh = p.U * (1 + kReuse * -std::expm1(-(p.D / p.U - 1) / kReuse));
      p.L = (1.87 + 521 * std::pow(p.N, -0.353) + 1488 * std::pow(fresh, -0.353)) * std::exp(0.002 * rng.normal());
      points.push_back(p);
    }
  const Wall wall = wall_test(points);
  EXPECT_EQ(wall.verdict, WallVerdict::kCannotTell);
  EXPECT_THAT(wall.why, HasSubstr("repeated data"));
}

TEST(Wall, FlatEndOfRepeatedDataIsNone) {
  std::vector<Point> points = bent(make_ladder(three_decades(), 1), 0.06);
  const Wall unknown = wall_test(points);
  EXPECT_EQ(unknown.verdict, WallVerdict::kWall);
  EXPECT_THAT(unknown.why, HasSubstr("repeat their data"));  // what it would be else
  const double top = points.back().C;
  for (Point& p : points) p.U = p.C > top / 20 ? p.D / (20 * p.C / top) : p.D;
  const Wall wall = wall_test(points);
  EXPECT_EQ(wall.verdict, WallVerdict::kCannotTell);
  EXPECT_THAT(wall.why, HasSubstr("up to 20 times"));
}

TEST(Wall, TopRunsNoLargerThanTheLowerOnesShowNone) {
  std::vector<Point> points = make_ladder(three_decades(), 1);
  const double top = points.back().C;
  for (Point& p : points)
    if (p.C > top / 40) {
      p.N = 0.7 * std::sqrt(top / 6000);
      p.D = p.C / (6 * p.N);
      p.L *= std::pow(40 * p.C / top, 0.08);
    }
  const Wall wall = wall_test(points);
  EXPECT_EQ(wall.verdict, WallVerdict::kCannotTell);
  EXPECT_THAT(wall.why, HasSubstr("no more parameters"));
}

TEST(Wall, TooFewRunsCannotTellAndQuoteNoBend) {
  Ladder ladder;
  ladder.rungs = 3;
  for (const std::vector<Point>& points :
       {make_ladder(ladder, 1), std::vector<Point>(8, make_ladder(ladder, 1).front()),
        std::vector<Point>{{1e6, 2e7, 3, 0}}}) {
    const Wall wall = wall_test(points);
    EXPECT_EQ(wall.verdict, WallVerdict::kCannotTell);
    EXPECT_TRUE(std::isnan(wall.smallest_detectable));
    EXPECT_TRUE(std::isnan(wall.p_value));
    EXPECT_FALSE(wall.why.empty());
  }
}

TEST(Wall, NoneOfThePublicLaddersIsOneAndMostAreWithAFlatEnd) {
  const std::vector<Path> tables = public_tables();
  if (tables.empty()) GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/*.csv";
  size_t flat = 0;
  for (const Path& table : tables) {
    const std::vector<Point> points = read(table);
    const Wall straight = wall_test(points);
    EXPECT_NE(straight.verdict, WallVerdict::kWall) << table << ": " << straight.why;
    const Wall bend = wall_test(bent(points, -straight.slope));
    EXPECT_NE(bend.verdict, WallVerdict::kNoneSeen) << table << ": " << bend.why;
    flat += bend.verdict == WallVerdict::kWall;
  }
  EXPECT_GE(4 * flat, 3 * tables.size());
}

TEST(Wall, SevenRunsOfOneRatioAreTooFew) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path table = Path(folder != nullptr ? folder : "") / ".." / "cases" / "cerebras_loss2.csv";
  if (folder == nullptr || !std::filesystem::exists(table))
    GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder beside which cases/cerebras_loss2.csv lies";
  const Wall wall = wall_test(read(table));
  EXPECT_EQ(wall.verdict, WallVerdict::kCannotTell);
  EXPECT_TRUE(std::isnan(wall.smallest_detectable)) << wall.smallest_detectable;
}

}  // namespace
}  // namespace flywheel::scaling
