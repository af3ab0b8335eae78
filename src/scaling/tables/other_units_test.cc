#include "scaling/tables/other_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/rng.h"

namespace flywheel::scaling {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

double loss_of(double N, double D) {
  return 1.8 + 480 * std::pow(N, -0.35) + 2100 * std::pow(D, -0.37);
}

RunsTable sound_table(bool with_flops) {
  Rng rng(3);
  RunsTable table;
  for (int n = 0; n < 5; ++n)
    for (int d = 0; d < 5; ++d) {
      const double N = 2e7 * std::pow(2.5, n), D = 3e8 * std::pow(3.0, d);
      table.points.push_back({N, D, loss_of(N, D) * std::exp(0.003 * rng.normal()), with_flops ? 6.2 * N * D : 0});
      table.rows.push_back(static_cast<int>(table.rows.size()) + 2);
    }
  return table;
}

RunsTable left(bool with_flops, const std::function<void(std::vector<Point>&)>& spoil) {
  RunsTable table = sound_table(with_flops);
  spoil(table.points);
  leave_out_other_units(table);
  return table;
}

TEST(OtherUnits, ASoundTableStays) {
  for (const bool with_flops : {false, true}) {
    const RunsTable table = left(with_flops, [](auto&) {});
    EXPECT_EQ(table.points.size(), 25u);
    EXPECT_THAT(table.warnings, IsEmpty());
    EXPECT_THAT(columns_in_other_units(table), IsEmpty());
  }
}

TEST(OtherUnits, ACellThatIsAPowerOf1000OffIsLeftOutAndNamed) {
  for (const bool with_flops : {false, true})
    for (const double factor : {1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9}) {
      for (double Point::*const value : {&Point::N, &Point::D}) {
        const RunsTable table = left(with_flops, [&](auto& points) { points[12].*value *= factor; });
        EXPECT_EQ(table.points.size(), 24u) << factor << (value == &Point::N ? " N" : " D") << with_flops;
        ASSERT_EQ(table.warnings.size(), 1u);
        EXPECT_THAT(table.warnings[0], AllOf(HasSubstr("line 14: "), HasSubstr(factor > 1 ? "large" : "small"),
                                             HasSubstr(with_flops ? "FLOPs fit" : "loss fits")));
      }
      if (!with_flops) continue;
      const RunsTable table = left(true, [&](auto& points) { points[12].C *= factor; });
      EXPECT_EQ(table.points.size(), 24u) << factor;
      EXPECT_THAT(table.warnings, ElementsAre(HasSubstr("line 14: C (FLOPs)")));
    }
}

TEST(OtherUnits, ARunThatIsMerelyFarLargerStays) {
  for (const bool with_flops : {false, true})
    for (const double factor : {1e2, 1e3, 1e4}) {
      const RunsTable table = left(with_flops, [&](auto& points) {
        Point& p = points[12];
        p.N *= factor;
        p.D *= factor;
        p.L = loss_of(p.N, p.D);
        p.C = with_flops ? 6.2 * p.N * p.D : 0;
      });
      EXPECT_EQ(table.points.size(), 25u) << factor;
      EXPECT_THAT(table.warnings, IsEmpty());
    }
}

// Losses so scattered that a law hardly depends on sizes: a thousand is doubted, a billion is no run of anybody's.
TEST(OtherUnits, WhereLossesCannotTellAThousandIsDoubtedAndABillionLeftOut) {
  const auto scattered = [](double factor) {
    return left(false, [&](auto& points) {
      Rng rng(8);
      for (Point& p : points) p.L *= std::exp(0.2 * rng.normal());
      points[12].N *= factor;
    });
  };
  const RunsTable thousand = scattered(1e3), billion = scattered(1e9);
  EXPECT_EQ(thousand.points.size(), 25u);
  EXPECT_THAT(thousand.warnings, ElementsAre(AllOf(HasSubstr("line 14: N"), HasSubstr("counts as it is"))));
  EXPECT_EQ(billion.points.size(), 24u);
  EXPECT_THAT(billion.warnings, ElementsAre(HasSubstr("1e+09 times too large")));
}

TEST(OtherUnits, AWrongLossIsNoWrongUnit) {
  EXPECT_EQ(left(false, [](auto& points) { points[24].L *= 1.5; }).points.size(), 25u);
}

TEST(OtherUnits, WholeColumnsAreNamed) {
  const auto said = [](bool with_flops, double size, double tokens) {
    RunsTable table = sound_table(with_flops);
    for (Point& p : table.points) p.N *= size, p.D *= tokens;
    return columns_in_other_units(table);
  };
  EXPECT_THAT(said(true, 1, 1e-9),
              ElementsAre(AllOf(HasSubstr("1e9 times 6 N D"), HasSubstr("tokens (D)"), HasSubstr("billions"))));
  EXPECT_THAT(said(true, 1e-6, 1), ElementsAre(AllOf(HasSubstr("parameters (N)"), HasSubstr("millions"))));
  EXPECT_THAT(said(true, 1e-6, 1e-9), ElementsAre(HasSubstr("N and D look shortened")));
  EXPECT_THAT(said(false, 1, 1e-9),
              ElementsAre(AllOf(HasSubstr("D looks stated in billions"), HasSubstr("--columns D=D*1e9"))));
  EXPECT_THAT(said(false, 1, 1e-6), ElementsAre(HasSubstr("millions")));
  EXPECT_THAT(said(false, 1e-6, 1), ElementsAre(HasSubstr("N looks stated")));
  EXPECT_THAT(said(false, 1e-6, 1e-9), ElementsAre(HasSubstr("N looks stated"), HasSubstr("D looks stated")));
  EXPECT_THAT(said(false, 1e3, 1e-3), ElementsAre(HasSubstr("swapped")));
}

}  // namespace
}  // namespace flywheel::scaling
