#include "scaling/allocation/approaches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/file_system.h"
#include "scaling/allocation/isoflop_akima.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {
namespace {

std::optional<std::vector<Point>> shared_runs(const std::string& name) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path file = Path(folder != nullptr ? folder : "") / "scaling" / name;
  if (folder == nullptr || !std::filesystem::exists(file)) return std::nullopt;
  return parse_runs(real_file_system().read(file), file.string()).points;
}

constexpr const char* kNeedsData = "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/*.csv of the test";

std::vector<Approach> all_approaches(const std::vector<Point>& points, const FitOptions& options) {
  return {envelope_approach(points), parabola_approach(points), interpolation_approach(points),
          parametric_approach(fit(points, options))};
}

TEST(Interpolation, GivesTheExponentsThatPorianAndOthersPublish) {
  struct Row {
    const char* file;
    double published;  // their repository's results, weighted fit of bootstrap medians
  };
  for (const Row& row : {Row{"porian_refinedweb_base_long_kaplan_kaplan.csv", 0.8353},
                         Row{"porian_refinedweb_base_long_kaplan_standard.csv", 0.7065},
                         Row{"porian_refinedweb_base_short_kaplan_standard.csv", 0.6020},
                         Row{"porian_refinedweb_base_short_chinchilla_standard.csv", 0.5715},
                         Row{"porian_refinedweb_tuned_short_const_standard.csv", 0.4969}}) {
    const auto points = shared_runs(row.file);
    if (!points) GTEST_SKIP() << kNeedsData;
    const Approach ours = interpolation_approach(*points);
    std::printf("%s: ours %.4f (%.4f to %.4f), published %.4f, levels %d\n", row.file, ours.a, ours.low, ours.high,
                row.published, ours.used);
    EXPECT_NEAR(ours.a, row.published, 0.005) << row.file;
  }
}

TEST(Parametric, GivesTheReferenceExponentOfTheEpochPoints) {
  auto points = shared_runs("chinchilla_epoch.csv");
  if (!points) GTEST_SKIP() << kNeedsData;
  std::stable_sort(points->begin(), points->end(), [](const Point& a, const Point& b) { return a.L > b.L; });
  FitOptions options = published_options();
  options.bootstrap = 1000;
  const Approach ours = parametric_approach(fit(std::span(*points).subspan(5), options));
  EXPECT_NEAR(ours.a, 0.5139, 1e-4);
  // Published from 4000 resamples of their own.
  EXPECT_NEAR(ours.low, 0.481, 0.006);
  EXPECT_NEAR(ours.high, 0.556, 0.006);
}

TEST(Approaches, AllFindTheExponentThatMadeTheRuns) {
  Ladder ladder;
  ladder.rungs = 8;
  ladder.sizes = 9;
  ladder.factor = 3;
  ladder.noise = 0.0003;
  const std::vector<Point> points = make_ladder(ladder, 4);
  FitOptions options = published_options();
  options.bootstrap = 50;
  const double truth = ladder.beta / (ladder.alpha + ladder.beta);
  for (const Approach& approach : all_approaches(points, options)) {
    ASSERT_EQ(approach.missing, "") << approach.name;
    EXPECT_NEAR(approach.a, truth, 0.04) << approach.name;
    EXPECT_LE(approach.low, approach.a) << approach.name;
    EXPECT_GE(approach.high, approach.a) << approach.name;
    EXPECT_NE(approach.biases, "") << approach.name;
  }
}

TEST(Approaches, SayWhatIsMissingWhereRunsAreFew) {
  const std::vector<Point> points = {{1e6, 1e7, 3.0, 0}, {2e6, 1e7, 2.9, 0}};
  FitOptions options;
  options.bootstrap = 0;
  for (const Approach& approach : all_approaches(points, options)) EXPECT_NE(approach.missing, "") << approach.name;
}

TEST(Interpolation, FindsAMinimumBetweenSizesAndNoneAtAnEdge) {
  std::vector<Point> level;
  for (int i = 0; i < 7; ++i) {
    const double N = 1e6 * std::pow(1.5, i);
    level.push_back({N, 1e9, 3 * std::exp(0.05 * std::pow(std::log(N / 3e6), 2)), 0});
  }
  const AkimaMinimum inner = akima_minimum(level);
  EXPECT_NEAR(inner.N / 3e6, 1, 0.05);
  EXPECT_GE(inner.ln_sd, 0.33 * std::log(1.5) * 0.99);
  EXPECT_EQ(inner.ln_sizes, akima_minimum(level).ln_sizes);
  level.erase(level.begin(), level.begin() + 3);
  EXPECT_EQ(akima_minimum(level).N, 0);
}

}  // namespace
}  // namespace flywheel::scaling
