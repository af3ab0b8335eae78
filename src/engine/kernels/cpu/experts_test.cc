// Routing by hand-written choices and by numeric derivatives; moves of rows by where they end up.
#include "engine/kernels/experts.h"

#include <numeric>

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

struct Routing {
  RouteShape shape;
  std::vector<float> scores, weights;
  std::vector<int32_t> choice, places, first;
  explicit Routing(const RouteShape& s)
      : shape(s),
        scores(static_cast<size_t>(s.tokens * s.experts)),
        weights(static_cast<size_t>(s.tokens * s.active)),
        choice(weights.size()),
        places(weights.size()),
        first(static_cast<size_t>(s.experts + 1)) {}
  void run(const float* logits, const float* bias = nullptr) {
    route_forward(shape, logits, bias, scores.data(), weights.data(), choice.data(), places.data(), first.data());
  }
};

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

TEST(Route, TheLargestScoresAreChosenAndTheirWeightsSumToOne) {
  const std::vector<float> logits = {0.5f, 2,  -1, 1,  //
                                     -3,   -4, -5, -3.5f};
  Routing r({2, 4, 2});
  r.run(logits.data());
  EXPECT_EQ(r.choice, (std::vector<int32_t>{1, 3, 0, 3}));
  EXPECT_EQ(r.first, (std::vector<int32_t>{0, 1, 2, 2, 4}));
  EXPECT_EQ(r.places, (std::vector<int32_t>{1, 2, 0, 3}));
  EXPECT_NEAR(r.weights[0], sigmoid(2) / (sigmoid(2) + sigmoid(1)), 1e-6);
  EXPECT_NEAR(r.weights[2] + r.weights[3], 1, 1e-6);
}

TEST(Route, ABiasChangesTheChoiceAndNotTheWeights) {
  const std::vector<float> logits = {0.5f, 2, -1, 1}, bias = {0, -1, 0.9f, 0};
  Routing r({1, 4, 2});
  r.run(logits.data(), bias.data());
  EXPECT_EQ(r.choice, (std::vector<int32_t>{2, 3}));
  EXPECT_NEAR(r.weights[0], sigmoid(-1) / (sigmoid(-1) + sigmoid(1)), 1e-6);
}

TEST(Route, OneActiveExpertHasItsScoreAsWeight) {
  const std::vector<float> logits = {0.5f, 0.5f, -1};
  Routing r({1, 3, 1});
  r.run(logits.data());
  EXPECT_EQ(r.choice[0], 0);
  EXPECT_NEAR(r.weights[0], sigmoid(0.5), 1e-6);
}

TEST(Route, LogitsThatAreNotNumbersStillGiveEveryCopyARowOfItsOwn) {
  const std::vector<float> logits(3 * 4, std::nanf(""));
  Routing r({3, 4, 2});
  r.run(logits.data());
  std::vector<int32_t> sorted = r.places, expected(6);
  std::sort(sorted.begin(), sorted.end());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(sorted, expected);
}

TEST(Route, BackwardIsTheDerivativeOfWeightsAndBalanceLoss) {
  for (const int64_t active : {1, 2, 3, 5}) {
    for (const float balance : {0.0f, 0.7f}) {
      SCOPED_TRACE(testing::Message() << active << " active, balance " << balance);
      const RouteShape shape{6, 5, active};
      Routing r(shape);
      GuardedBuffer logits(30, tensor::Dtype::kFloat32), dweights(6 * active, tensor::Dtype::kFloat32),
          dlogits(30, tensor::Dtype::kFloat32);
      logits.randomise(11, 2);
      dweights.randomise(2);
      r.run(logits.floats());
      const std::vector<int32_t> choice = r.choice;
      route_backward(shape, r.scores.data(), r.weights.data(), r.choice.data(), r.first.data(), dweights.floats(),
                     balance, dlogits.floats());
      const auto loss = [&] {
        r.run(logits.floats());
        EXPECT_EQ(r.choice, choice) << "the step is too long for this test";
        double sum = 0;
        for (int64_t i = 0; i < 6 * active; ++i) sum += double{r.weights[static_cast<size_t>(i)]} * dweights[i];
        for (size_t e = 0; e < 5; ++e) {
          double share = 0;
          for (size_t t = 0; t < 6; ++t) {
            const float* scores = r.scores.data() + t * 5;
            share += scores[e] / std::accumulate(scores, scores + 5, 0.0) / 6;
          }
          const double load = 5.0 * (r.first[e + 1] - r.first[e]) / (6.0 * static_cast<double>(active));
          sum += double{balance} * 6 * load * share;
        }
        return sum;
      };
      expect_gradient(loss, logits, dlogits);
    }
  }
}

TEST(Rows, SpreadGatherAndCombineFollowThePlaces) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      constexpr int64_t kTokens = 3, kCopies = 2, kWidth = 19;
      const std::vector<int32_t> places = {4, 0, 1, 5, 3, 2};
      GuardedBuffer x(kTokens * kWidth, dtype), rows(6 * kWidth, dtype), back(kTokens * kWidth, dtype);
      x.randomise(1);
      spread_rows(x.data(), places.data(), kTokens, kCopies, kWidth, dtype, rows.data());
      EXPECT_EQ(rows[4 * kWidth + 18], x[18]);
      EXPECT_EQ(rows[2 * kWidth], x[2 * kWidth]);
      gather_rows(rows.data(), places.data(), kTokens, kCopies, kWidth, dtype, back.data());
      EXPECT_EQ(back[kWidth + 3], 2 * x[kWidth + 3]);
      EXPECT_TRUE(rows.guards_intact() && back.guards_intact());
    }
    GuardedBuffer rows(4 * 5, tensor::Dtype::kFloat32), weights(4, tensor::Dtype::kFloat32),
        dy(10, tensor::Dtype::kFloat32);
    GuardedBuffer y(10, tensor::Dtype::kFloat32), drows(20, tensor::Dtype::kFloat32),
        dweights(4, tensor::Dtype::kFloat32);
    const std::vector<int32_t> places = {3, 1, 0, 2};
    rows.randomise(1);
    weights.randomise(2);
    dy.randomise(3);
    const auto loss = [&] {
      y.fill(0.5f);
      combine_forward(rows.floats(), weights.floats(), places.data(), 2, 2, 5, y.floats());
      return project(y, dy);
    };
    loss();
    EXPECT_NEAR(y[7], 0.5 + weights[2] * rows[2] + weights[3] * rows[12], 1e-6);
    combine_backward(rows.floats(), weights.floats(), places.data(), dy.floats(), 2, 2, 5, drows.floats(),
                     dweights.floats());
    expect_gradient(loss, rows, drows);
    expect_gradient(loss, weights, dweights);
  });
}

}  // namespace
}  // namespace flywheel::kernels
