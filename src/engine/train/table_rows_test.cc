// Rows that are updated when they are looked up against AdamW on all rows in every step, in float64.
#include "engine/train/table_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/rng.h"
#include "engine/kernels/ngrams.h"
#include "engine/train/optimizer.h"
#include "engine/train/schedule.h"

namespace flywheel::train {
namespace {

constexpr int kRows = 37, kColumns = 5, kSteps = 400, kContext = 6, kElements = 192;

recipe::Size rows_size() {
  recipe::Size size;
  size.context = kContext;
  size.batch_sequences = 2;
  size.steps = kSteps;
  size.embedding_learning_rate = size.vector_learning_rate = 0.01;
  return size;
}
std::vector<model::ParameterInfo> rows_parameters() {
  return {{.name = "embedding.ngrams.2",
           .shape = {kRows, kColumns},
           .group = model::ParameterGroup::kEmbedding,
           .ngram = 2}};
}
// Text in which most pairs are rare, so that rows rest from no step to hundreds.
std::vector<uint16_t> rare_text(Rng& rng) {
  std::vector<uint16_t> text;
  for (int i = 0; i <= kContext; ++i)
    text.push_back(static_cast<uint16_t>(rng.below(20) == 0 ? rng.below(256) : rng.below(2)));
  return text;
}

struct DenseAdam {
  std::vector<double> weight = std::vector<double>(kElements), mean = weight, square = weight;
  void step(const recipe::Recipe& recipe, const recipe::Size& size, int64_t index,
            const std::vector<double>& gradient) {
    const auto& o = recipe.optimizer;
    const double c1 = 1 - std::pow(o.beta1, index + 1.0), c2 = 1 - std::pow(o.beta2, index + 1.0);
    const double rate = size.embedding_learning_rate * learning_rate_share(recipe.schedule, size, index);
    for (size_t i = 0; i < weight.size(); ++i) {
      mean[i] = o.beta1 * mean[i] + (1 - o.beta1) * gradient[i];
      square[i] = o.beta2 * square[i] + (1 - o.beta2) * gradient[i] * gradient[i];
      weight[i] -= rate * mean[i] / c1 / (std::sqrt(square[i] / c2) + 1e-12);
    }
  }
};

// One optimizer with gradients of its own, on any number of threads, one after the other.
class RowsBench {
 public:
  RowsBench(const recipe::Recipe& recipe, int threads)
      : threads_(threads),
        optimizer_(recipe, rows_size(), rows_parameters(), kElements, tensor::Dtype::kFloat32, threads),
        weights_(kElements, 0.0f),
        gradient_(kElements, NAN) {}  // what is read must have been zeroed

  void step(int64_t index, double share, std::span<const TableRows::Tokens> sequences,
            const std::vector<double>& gradient) {
    optimizer_.touch(index, sequences);
    for (int t = 0; t < threads_; ++t) optimizer_.prepare(weights_.data(), t == 0 ? gradient_.data() : nullptr, t);
    for (size_t i = 0; i < gradient.size(); ++i)
      if (gradient[i] != 0) gradient_[i] += static_cast<float>(gradient[i]);
    float* buffers[] = {gradient_.data()};
    for (int t = 0; t < threads_; ++t) optimizer_.reduce(buffers, t);
    norm_ = optimizer_.gradient_norm();
    optimizer_.begin(index, share, norm_);
    for (int t = 0; t < threads_; ++t) optimizer_.update(gradient_.data(), weights_.data(), t);
  }
  std::vector<float> woken(int64_t steps) {
    std::vector<float> weights = weights_, before(kElements);
    optimizer_.table_rows().count_steps(steps);
    for (int t = 0; t < threads_; ++t)
      optimizer_.table_rows().wake(weights.data(), optimizer_.state().data(), before.data(), t);
    std::vector<float> back = weights;
    for (int t = 0; t < threads_; ++t) optimizer_.table_rows().put_back(before.data(), back.data(), t);
    EXPECT_TRUE(back == weights_);
    return weights;
  }
  double norm() const { return norm_; }
  Optimizer& optimizer() { return optimizer_; }
  std::vector<float>& weights() { return weights_; }

 private:
  int threads_;
  Optimizer optimizer_;
  std::vector<float> weights_, gradient_;
  double norm_ = 0;
};

recipe::Recipe rows_recipe() {
  recipe::Recipe recipe;
  recipe.optimizer.gradient_clip = 0;
  return recipe;
}

// Calls body(step, sequences, gradient) for every step of one random run.
template <typename Body>
void each_step(uint64_t seed, Body&& body) {
  Rng rng(seed);
  for (int64_t step = 0; step < kSteps; ++step) {
    const std::vector<uint16_t> first = rare_text(rng), second = rare_text(rng);
    const TableRows::Tokens sequences[] = {first, second};
    std::vector<double> gradient(kElements, 0.0);
    for (const TableRows::Tokens tokens : sequences) {
      for (int64_t at = 0; at < kContext; ++at) {
        const auto row = static_cast<size_t>(kernels::ngram_row(tokens.data(), at, 2, kRows));
        for (size_t i = 0; i < kColumns; ++i) gradient[row * kColumns + i] += 0.1 * rng.normal();
      }
    }
    body(step, std::span<const TableRows::Tokens>(sequences), gradient);
  }
}

TEST(TableRows, AreWhereAdamwOnAllRowsInEveryStepPutsThem) {
  const recipe::Recipe recipe = rows_recipe();
  const recipe::Size size = rows_size();
  for (const int threads : {1, 3}) {
    RowsBench bench(recipe, threads);
    DenseAdam dense;
    each_step(7, [&](int64_t step, std::span<const TableRows::Tokens> sequences, const std::vector<double>& gradient) {
      bench.step(step, learning_rate_share(recipe.schedule, size, step), sequences, gradient);
      dense.step(recipe, size, step, gradient);
      double squares = 0;
      for (const double g : gradient) squares += g * g;
      ASSERT_NEAR(bench.norm(), std::sqrt(squares), 1e-5 * std::sqrt(squares));
      if (step % 57 != 0 && step + 1 != kSteps) return;
      const std::vector<float> weights = bench.woken(step + 1);
      for (size_t i = 0; i < kRows * kColumns; ++i)
        ASSERT_NEAR(weights[i], dense.weight[i], 1e-4 * (0.01 + std::abs(dense.weight[i]))) << step << " " << i;
    });
  }
}

TEST(TableRows, GoOnFromTheirStateBitForBitWhateverIsLookedAtBetween) {
  const recipe::Recipe recipe = rows_recipe();
  const recipe::Size size = rows_size();
  RowsBench whole(recipe, 1);
  std::unique_ptr<RowsBench> resumed = std::make_unique<RowsBench>(recipe, 2);
  each_step(8, [&](int64_t step, std::span<const TableRows::Tokens> sequences, const std::vector<double>& gradient) {
    const double share = learning_rate_share(recipe.schedule, size, step);
    whole.step(step, share, sequences, gradient);
    resumed->step(step, share, sequences, gradient);
    if (step % 11 == 0) whole.woken(step + 1);
    if (step % 90 == 5) {  // a new process, with another number of threads
      auto next = std::make_unique<RowsBench>(recipe, 1 + static_cast<int>(step % 3));
      std::ranges::copy(resumed->optimizer().state(), next->optimizer().state().begin());
      next->weights() = resumed->weights();
      resumed = std::move(next);
    }
    ASSERT_TRUE(resumed->weights() == whole.weights()) << step;
  });
  EXPECT_TRUE(resumed->woken(kSteps) == whole.woken(kSteps));
}

// Checkpoints of earlier programs have no steps of rows.
TEST(TableRows, TheStateOfWholeTablesIsTakenOver) {
  std::vector<model::ParameterInfo> parameters = rows_parameters();
  parameters.push_back({.name = "head", .shape = {3, 4}, .group = model::ParameterGroup::kHead, .offset = 192});
  const OptimizerPlan plan(rows_recipe(), rows_size(), parameters, 208, tensor::Dtype::kFloat32, 1);
  const int64_t table = 2 * kRows * kColumns;
  std::vector<float> whole;
  for (int64_t i = 0; i < plan.state_elements - kRows; ++i) whole.push_back(static_cast<float>(i));
  const std::vector<float> state = plan.state_of_whole_tables(whole, 9);
  ASSERT_EQ(std::ssize(state), plan.state_elements);
  EXPECT_EQ(state[static_cast<size_t>(table - 1)], table - 1);
  EXPECT_EQ(state[static_cast<size_t>(table)], 9);
  EXPECT_EQ(state[static_cast<size_t>(table + kRows - 1)], 9);
  EXPECT_EQ(state[static_cast<size_t>(table + kRows)], table);
  EXPECT_EQ(state.back(), whole.back());
  EXPECT_TRUE(plan.state_of_whole_tables(state, 9).empty());
}

TEST(TableRows, ADamagedStateIsSeen) {
  RowsBench bench(rows_recipe(), 1);
  TableRows& rows = bench.optimizer().table_rows();
  std::vector<float> state(bench.optimizer().state().begin(), bench.optimizer().state().end());
  EXPECT_TRUE(rows.holds(state, 0));
  for (const float damaged : {-1.0f, 6.0f, 1e9f, std::nanf(""), INFINITY}) {
    state[2 * kRows * kColumns + 3] = damaged;
    EXPECT_FALSE(rows.holds(state, 5)) << damaged;
  }
  state[2 * kRows * kColumns + 3] = 5;
  EXPECT_TRUE(rows.holds(state, 5));
}

TEST(TableRows, AreUpdatedWholeWhereARuleTouchesAllWeightsInEveryStep) {
  const auto tables = [](const std::function<void(recipe::Recipe&)>& change) {
    recipe::Recipe recipe;
    change(recipe);
    const auto parameters = rows_parameters();
    return OptimizerPlan(recipe, rows_size(), parameters, kElements, tensor::Dtype::kFloat32, 1).tables.size();
  };
  EXPECT_EQ(tables([](recipe::Recipe&) {}), 1u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.kind = recipe::OptimizerKind::kAdamw; }), 1u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.kind = recipe::OptimizerKind::kLion; }), 0u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.cautious = true; }), 0u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.averaging = recipe::Averaging::kTail; }), 0u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.beta1 = r.optimizer.beta2 = 0.99; }), 0u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.beta2 = 0.85; }), 0u);
  EXPECT_EQ(tables([](recipe::Recipe& r) { r.optimizer.epsilon = 1e-4; }), 0u);
}

}  // namespace
}  // namespace flywheel::train
