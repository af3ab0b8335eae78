#include "engine/kernels/orthonormal.h"

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

double row_product(GuardedBuffer& a, int64_t i, GuardedBuffer& b, int64_t j, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += double{a[i * n + k]} * b[j * n + k];
  return sum;
}

TEST(OrthonormalRows, SpanWhatTheRowsSpanWhateverTheirScaleAndRank) {
  for_each_target([] {
    for (const int64_t n : {1, 2, 17, 40, 65}) {
      for (const double scale : {1e-25, 1e-15, 1.0, 1e15, 1e25}) {
        for (const bool deficient : {false, true}) {
          SCOPED_TRACE(testing::Message() << n << " rows, scale " << scale << ", deficient " << deficient);
          GuardedBuffer rows(n * n, tensor::Dtype::kFloat32), basis(n * n, tensor::Dtype::kFloat32),
              factors(n, tensor::Dtype::kFloat32);
          rows.randomise(1, scale);
          if (deficient && n > 2) {
            for (int64_t i = 0; i < n; ++i) rows.set(n + i, rows[i]);  // rows 0 and 1 are the same
          }
          GuardedBuffer given = rows;
          orthonormal_rows(rows.floats(), n, basis.floats(), factors.floats());
          EXPECT_TRUE(rows.guards_intact() && basis.guards_intact() && factors.guards_intact());
          for (int64_t i = 0; i < n; ++i) {
            // Rounding of n reflections.
            for (int64_t j = 0; j < n; ++j) EXPECT_NEAR(row_product(basis, i, basis, j, n), i == j, 1e-5);
            // Row i in the span of the basis's rows 0..i.
            const double length = std::sqrt(row_product(given, i, given, i, n));
            for (int64_t j = i + 1; j < n; ++j) EXPECT_NEAR(row_product(given, i, basis, j, n) / length, 0, 1e-5);
          }
        }
      }
    }
  });
}

// As covariances of gradients of 1e-20 are: their norm's inverse would be infinite.
TEST(OrthonormalRows, OfZerosAndOfNextToNothingAreTheUnitVectors) {
  for_each_target([] {
    GuardedBuffer tiny(9, tensor::Dtype::kFloat32), of_tiny(9, tensor::Dtype::kFloat32),
        tiny_factors(3, tensor::Dtype::kFloat32);
    tiny.randomise(1, 1e-40);
    orthonormal_rows(tiny.floats(), 3, of_tiny.floats(), tiny_factors.floats());
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(of_tiny[i], i % 4 == 0);
    GuardedBuffer zeros(9, tensor::Dtype::kFloat32), basis(9, tensor::Dtype::kFloat32),
        factors(3, tensor::Dtype::kFloat32);
    orthonormal_rows(zeros.floats(), 3, basis.floats(), factors.floats());
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(basis[i], i % 4 == 0);
  });
}

}  // namespace
}  // namespace flywheel::kernels
