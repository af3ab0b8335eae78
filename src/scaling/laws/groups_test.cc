#include "scaling/laws/groups.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "scaling/laws/synthetic_ladder.h"

namespace flywheel::scaling {
namespace {

TEST(SharedExponents, AreEqualAndFoundWithEachGroupsAmplitudes) {
  Ladder one, other;
  one.noise = other.noise = 0;
  one.rungs = 6;
  other.E = 1.1, other.A = 25, other.B = 90, other.rungs = 4;
  const std::vector<std::vector<Point>> groups = {make_ladder(one, 1), make_ladder(other, 2)};
  FitOptions options;
  options.bootstrap = 3;
  const std::vector<Fit> fits = fit_shared_exponents(groups, options);
  ASSERT_EQ(fits.size(), 2u);
  EXPECT_EQ(fits[0].law.parameters.at("alpha"), fits[1].law.parameters.at("alpha"));
  EXPECT_EQ(fits[0].law.parameters.at("beta"), fits[1].law.parameters.at("beta"));
  EXPECT_NEAR(fits[0].law.parameters.at("alpha"), one.alpha, 1e-3);
  EXPECT_NEAR(fits[0].law.parameters.at("E"), one.E, 5e-3);
  EXPECT_NEAR(fits[1].law.parameters.at("E"), other.E, 5e-3);
  EXPECT_EQ(fits[0].resamples.size(), 3u);
}

TEST(SharedExponents, NeedSizesAndTokens) {
  const std::vector<std::vector<Point>> groups = {make_ladder({}, 1)};
  FitOptions options;
  options.form = "compute";
  EXPECT_THROW(fit_shared_exponents(groups, options), Error);
}

}  // namespace
}  // namespace flywheel::scaling
