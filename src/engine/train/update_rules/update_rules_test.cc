// Each rule by itself: against float64, and what it promises whatever the gradient.
#include "engine/train/update_rules/update_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "testing/matrix.h"

namespace flywheel::train {
namespace {

using flywheel::testing::Matrix;

std::vector<float> draws(int64_t count, uint64_t seed, double sd = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(sd * rng.normal());
  return values;
}

// One matrix with the memory that its rule asks for.
struct Trained {
  const UpdateRule& rule;
  int64_t rows, columns;
  std::vector<float> weight, state;
  tensor::Arena scratch;

  Trained(const UpdateRule& r, int64_t m, int64_t n, std::vector<float> start)
      : rule(r),
        rows(m),
        columns(n),
        weight(std::move(start)),
        scratch(
            std::max(r.scratch_bytes(m, n, tensor::Dtype::kFloat32), r.scratch_bytes(m, n, tensor::Dtype::kBfloat16))) {
    state.resize(static_cast<size_t>(r.planes * m * n + (r.extra_state != nullptr ? r.extra_state(m, n) : 0)), 0.0f);
  }
  void update(const UpdateStep& step, const std::vector<float>& gradient) {
    rule.update(step, {.rows = rows,
                       .columns = columns,
                       .gradient = gradient.data(),
                       .weight = weight.data(),
                       .state = state.data(),
                       .plane_stride = rows * columns,
                       .scratch = scratch.data()});
  }
  Matrix values() const { return Matrix(weight.data(), rows, columns); }
};

UpdateStep step_of(double rate, double decay = 0, double scale = 1) {
  return {.learning_rate = static_cast<float>(rate),
          .weight_decay = static_cast<float>(decay),
          .keep = static_cast<float>(1 - rate * decay),
          .gradient_scale = static_cast<float>(scale),
          .beta1 = 0.9f,
          .beta2 = 0.95f,
          .epsilon = 1e-8f,
          .momentum = 0.9f,
          .soap_interval = 2};
}

struct ShapeCase {
  int64_t rows, columns;
};

// Muon as Jordan et al. write it, in float64.
struct MuonReference {
  Matrix weight, buffer;
  void step(const Matrix& gradient, double rate, double momentum, double decay) {
    buffer = momentum * buffer + gradient;
    Matrix x = gradient + momentum * buffer;
    const bool tall = x.rows > x.columns;
    if (tall) x = x.transposed();
    x = 1 / (x.norm() + 1e-7) * x;
    for (int i = 0; i < 5; ++i) {
      const Matrix a = x * x.transposed();
      x = 3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x;
    }
    if (tall) x = x.transposed();
    const double scale =
        std::sqrt(std::max(1.0, static_cast<double>(weight.rows) / static_cast<double>(weight.columns)));
    weight = (1 - rate * decay) * weight - rate * scale * x;
  }
};

TEST(Muon, FollowsItsFloat64ReferenceInEveryOrientation) {
  for (const auto& [rows, columns] : {ShapeCase{8, 8}, {24, 7}, {5, 33}, {1, 9}, {9, 1}, {48, 16}}) {
    for (const tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
      Trained found(kMuon, rows, columns, draws(rows * columns, 1, 0.1));
      MuonReference reference{found.values(), Matrix(rows, columns)};
      for (uint64_t t = 0; t < 4; ++t) {
        const std::vector<float> gradient = draws(rows * columns, 10 + t);
        UpdateStep step = step_of(0.05, 0.1, 0.5);
        step.dtype = dtype;
        found.update(step, gradient);
        reference.step(0.5 * Matrix(gradient.data(), rows, columns), 0.05, 0.9, 0.1);
      }
      // Five iterations multiply errors in small singular values; bfloat16 products carry 2^-8 each.
      const double tolerance = dtype == tensor::Dtype::kFloat32 ? 1e-4 : 0.06;
      EXPECT_LT((found.values() - reference.weight).norm(), tolerance * reference.weight.norm())
          << rows << " by " << columns << " " << static_cast<int>(dtype);
    }
  }
}

TEST(Muon, UpdatesHaveSingularValuesNearOneWhateverTheGradientsScale) {
  for (const double scale : {1e-6, 1.0, 1e6}) {
    Trained found(kMuon, 16, 40, std::vector<float>(640, 0.0f));
    found.update(step_of(1), draws(640, 3, scale));
    const std::vector<double> values = testing::singular_values(found.values());
    EXPECT_GT(values.back(), 0.6) << scale;
    EXPECT_LT(values.front(), 1.25) << scale;
  }
}

TEST(EveryMatrixRule, LeavesTheWeightsWithoutAGradientOrDecay) {
  for (const UpdateRule* rule : {&kAdamw, &kLion, &kMuon, &kSoap}) {
    Trained found(*rule, 8, 8, draws(64, 1));
    const std::vector<float> before = found.weight;
    for (int t = 0; t < 3; ++t) found.update(step_of(1), std::vector<float>(64, 0.0f));
    EXPECT_EQ(found.weight, before) << rule->name;
  }
}

// What SOAP keeps after its two planes, read in the order of its making.
struct SoapSides {
  Matrix left_covariance, left, right_covariance, right;
  explicit SoapSides(const Trained& trained, bool rotate_rows = true, bool rotate_columns = true) {
    const float* base = trained.state.data() + 2 * trained.rows * trained.columns;
    int64_t used = 0;
    const auto take = [&](int64_t n) {
      const Matrix square(base + used, n, n);
      used += tensor::align_up(n * n * 4) / 4;
      return square;
    };
    left = Matrix::identity(trained.rows);
    right = Matrix::identity(trained.columns);
    if (rotate_rows) left_covariance = take(trained.rows), left = take(trained.rows);
    if (rotate_columns) right_covariance = take(trained.columns), right = take(trained.columns);
  }
};

// Rows of `next` are what orthogonal iteration makes of `basis`: an orthonormal basis with the same nested spans.
void expect_iterated(const Matrix& basis, const Matrix& covariance, const Matrix& next) {
  const int64_t n = basis.rows;
  EXPECT_LT((next * next.transposed() - Matrix::identity(n)).norm(), 1e-5 * std::sqrt(n));
  Matrix above = basis * covariance * next.transposed();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) above(i, j) = 0;
  EXPECT_LT(above.norm(), 1e-5 * covariance.norm());
}

TEST(Soap, FollowsItsFloat64ReferenceInEveryOrientation) {
  for (const auto& [rows, columns] : {ShapeCase{8, 8}, {24, 7}, {5, 33}, {1, 9}, {9, 1}, {48, 16}, {2, 2051}}) {
    const bool rotate_columns = columns < 2049;
    SCOPED_TRACE(::testing::Message() << rows << " by " << columns);
    Trained found(kSoap, rows, columns, draws(rows * columns, 1, 0.1));
    const Matrix start = found.values();
    Matrix weight = start, mean(rows, columns), square = mean;
    Matrix left_sum(rows, rows), right_sum(columns, columns);
    for (uint64_t t = 0; t < 7; ++t) {
      const std::vector<float> gradient = draws(rows * columns, 10 + t);
      const Matrix g = 0.5 * Matrix(gradient.data(), rows, columns);
      // The bases are its own, as they were before the step: where a covariance has no full rank there are many.
      const SoapSides before(found, true, rotate_columns);
      found.update(step_of(0.05, 0.1, 0.5), gradient);
      left_sum = 0.95 * left_sum + g * g.transposed();
      if (rotate_columns) right_sum = 0.95 * right_sum + g.transposed() * g;
      const SoapSides after(found, true, rotate_columns);
      EXPECT_LT((after.left_covariance - left_sum).norm(), 1e-5 * left_sum.norm());
      if (rotate_columns) {
        EXPECT_LT((after.right_covariance - right_sum).norm(), 1e-5 * right_sum.norm());
      }
      if (t == 0) {
        EXPECT_EQ(found.values(), start) << "the first gradient only sets the bases";
        continue;
      }
      const double k = static_cast<double>(t);
      mean = 0.9 * mean + 0.1 * g;
      const Matrix turned = before.left * g * before.right.transposed();
      square = square.with(turned, [](double s, double x) { return 0.95 * s + 0.05 * x * x; });
      const Matrix turned_mean = 1 / (1 - std::pow(0.9, k)) * (before.left * mean * before.right.transposed());
      const Matrix direction = turned_mean.with(
          square, [&](double m, double s) { return m / (std::sqrt(s / (1 - std::pow(0.95, k))) + 1e-8); });
      weight = (1 - 0.05 * 0.1) * weight - 0.05 * before.left.transposed() * direction * before.right;
      if (t % 2 == 0) {
        expect_iterated(before.left, left_sum, after.left);
        if (rotate_columns) expect_iterated(before.right, right_sum, after.right);
      } else {
        EXPECT_EQ(after.left, before.left);
      }
    }
    // Some dozens of float32 products lie between the first gradient and the last update.
    EXPECT_LT((found.values() - weight).norm(), 1e-4 * weight.norm());
  }
}

TEST(Soap, ItsFirstBasesNearlyDiagonaliseTheFirstGradientsCovariances) {
  Trained found(kSoap, 12, 12, draws(144, 1));
  const Matrix u = testing::orthonormal_rows(Matrix(draws(144, 2).data(), 12, 12));
  const Matrix v = testing::orthonormal_rows(Matrix(draws(144, 3).data(), 12, 12));
  Matrix scales(12, 12);
  for (int i = 0; i < 12; ++i) scales(i, i) = std::pow(2.0, -i);
  const Matrix g = u.transposed() * scales * v;
  std::vector<float> gradient(144);
  std::transform(g.values.begin(), g.values.end(), gradient.begin(), [](double x) { return static_cast<float>(x); });
  found.update(step_of(0.1), gradient);
  const SoapSides sides(found);
  for (const Matrix& d : {sides.left * g * g.transposed() * sides.left.transposed(),
                          sides.right * g.transposed() * g * sides.right.transposed()}) {
    // Each iteration shrinks what is off the diagonal by the ratio of neighbouring eigenvalues, here a quarter.
    Matrix off_diagonal = d;
    for (int i = 0; i < 12; ++i) off_diagonal(i, i) = 0;
    EXPECT_LT(off_diagonal.norm(), 0.02 * d.norm());
  }
}

TEST(Cautious, ScalesByTheShareOfElementsThatHaveAGradientAndAgreeWithIt) {
  UpdateStep step = step_of(1);
  step.cautious = true;
  std::vector<float> weight(6, 0.0f);
  const std::vector<float> gradient = {1, -1, 2, 0, 0, -3}, direction = {1, 1, 1, 5, 5, -1};
  apply_direction(step, 1, direction.data(),
                  {.rows = 1, .columns = 6, .gradient = gradient.data(), .weight = weight.data()});
  // Three of the four with a gradient agree.
  const float four_thirds = 1 / 0.75f;
  EXPECT_EQ(weight, (std::vector<float>{-four_thirds, 0, -four_thirds, 0, 0, four_thirds}));
}

}  // namespace
}  // namespace flywheel::train
