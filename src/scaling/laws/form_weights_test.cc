#include "scaling/laws/form_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {
namespace {

FitOptions plain() {
  FitOptions options = published_options();
  options.bootstrap = 0;
  return options;
}

TEST(Evidence, CriterionIsTheGaussianOneForSmallResiduals) {
  // 100 residuals of variance s^2 far inside delta: the objective is 100 s^2 / 2.
  const double s = 1e-5, runs = 100, k = 4;
  const double gaussian = runs * (std::log(2 * M_PI * s * s) + 1) + 2 * k + 2 * k * (k + 1) / (runs - k - 1);
  EXPECT_NEAR(aicc(0.5 * runs * s * s, 1, runs, 3), gaussian, 1e-3);
  EXPECT_TRUE(std::isinf(aicc(1, 1, 5, 3)));
}

TEST(Evidence, WeighsTheFormThatMadeTheRuns) {
  Ladder ladder;
  ladder.rungs = 8;
  ladder.kappa = 0.6;
  const std::vector<Point> bent = make_ladder(ladder, 1);
  const std::vector<std::string> names = {"chinchilla", "tied", "kappa"};
  const std::vector<FormFit> fits = fit_forms(bent, plain(), names);
  EXPECT_NEAR(fits[0].weight + fits[1].weight + fits[2].weight, 1, 1e-12);
  ladder.kappa = 1;
  const std::vector<FormFit> straight = fit_forms(make_ladder(ladder, 1), plain(), names);
  EXPECT_LT(straight[2].weight, straight[0].weight + straight[1].weight);
  const double averaged = averaged_loss(fits, 1e6, 1e8);
  double low = INFINITY, high = 0;
  for (const FormFit& f : fits) {
    low = std::min(low, f.fit.law.loss(1e6, 1e8));
    high = std::max(high, f.fit.law.loss(1e6, 1e8));
  }
  EXPECT_GE(averaged, low);
  EXPECT_LE(averaged, high);
}

TEST(Evidence, LeavesOutFormsThatTheRunsCannotTellWithAReason) {
  const std::vector<Point> points = make_ladder({}, 1);
  const std::vector<FormFit> fits = fit_forms(points, plain(), all_form_names());
  for (const FormFit& f : fits) {
    if (f.form == "data_constrained") {
      EXPECT_THAT(f.left_out, testing::HasSubstr("unique tokens"));
    } else if (f.form == "broken") {
      EXPECT_THAT(f.left_out, testing::HasSubstr("compute levels"));
    } else if (f.form == "compute") {
      EXPECT_EQ(f.runs, RunsFitted::kFrontier);
    }
  }
  const std::vector<FormFit> few = fit_forms(std::span(points).first(3), plain(), all_form_names());
  EXPECT_TRUE(few[0].left_out.empty());
  EXPECT_FALSE(few[0].fit.identified);
  EXPECT_THAT(few[2].left_out, testing::HasSubstr("found 3"));
  const std::vector<std::string> twice = {"tied", "tied"};
  EXPECT_THROW(fit_forms(points, plain(), twice), Error);
}

TEST(Evidence, KappaIsBetterThanTheSumOnMostPublicRuns) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path scaling = Path(folder != nullptr ? folder : "") / "scaling";
  if (folder == nullptr || !std::filesystem::exists(scaling))
    GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/";
  const std::vector<std::string> names = {"chinchilla", "kappa"};
  int sets = 0, better = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scaling)) {
    if (entry.path().extension() != ".csv") continue;
    const std::vector<Point> points = parse_runs(real_file_system().read(entry.path()), entry.path().string()).points;
    const std::vector<FormFit> fits = fit_forms(points, plain(), names);
    if (!fits[1].left_out.empty()) continue;
    const double gain = fits[0].aicc - fits[1].aicc;
    printf("%-60s AICc gain of kappa %8.1f (kappa %.3f)\n", entry.path().filename().c_str(), gain,
           fits[1].fit.law.parameters.at("kappa"));
    ++sets;
    better += gain > 20;
  }
  EXPECT_GT(2 * better, sets);
}

}  // namespace
}  // namespace flywheel::scaling
