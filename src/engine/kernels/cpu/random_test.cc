// Normal draws: their moments, their repeatability, and that nothing is written outside.
#include "engine/kernels/random.h"

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

TEST(FillNormal, HasTheMomentsOfANormal) {
  constexpr int64_t kDraws = 200'000;
  for_each_target([] {
    GuardedBuffer x(kDraws, tensor::Dtype::kFloat32);
    Rng rng(3, 5);
    fill_normal(rng, 2, x.floats(), kDraws);
    double sums[5] = {};
    for (int64_t i = 0; i < kDraws; ++i) {
      ASSERT_TRUE(std::isfinite(x[i]));
      for (int power = 1; power <= 4; ++power) sums[power] += std::pow(double{x[i]} / 2, power) / kDraws;
    }
    // Standard errors of the four moments are at most 0.02 with so many draws: four of them.
    EXPECT_NEAR(sums[1], 0, 0.01);
    EXPECT_NEAR(sums[2], 1, 0.015);
    EXPECT_NEAR(sums[3], 0, 0.04);
    EXPECT_NEAR(sums[4], 3, 0.1);
    double product = 0;  // neighbours, and the two draws of a pair, are independent
    for (int64_t i = 0; i + 256 < kDraws; ++i)
      product += double{x[i]} * (double{x[i + 1]} + double{x[i + 256]}) / kDraws;
    EXPECT_NEAR(product, 0, 0.06);
    EXPECT_TRUE(x.guards_intact());
  });
}

TEST(FillNormal, AShorterFillIsTheBeginningOfALongerOne) {
  for_each_target([] {
    GuardedBuffer all(1300, tensor::Dtype::kFloat32);
    Rng rng(1);
    fill_normal(rng, 1, all.floats(), all.size());
    for (int64_t n : {0, 1, 7, 256, 257, 512, 513, 1299}) {
      GuardedBuffer part(n, tensor::Dtype::kFloat32);
      Rng again(1);
      fill_normal(again, 1, part.floats(), n);
      EXPECT_EQ(0, std::memcmp(part.data(), all.data(), static_cast<size_t>(n) * 4)) << n;
      EXPECT_TRUE(part.guards_intact());
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
