#include "engine/train/loaded_model.h"

#include <algorithm>

#include "base/hash.h"
#include "base/rng.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/random.h"

namespace flywheel::train {
namespace {

// Rows that make products fast. Where a matrix unit outruns the memory that the weights of a wide model stream from,
// twice as many: 9 to 17% more tokens per second from 512 wide on, and fewer below, where activations leave the L2
// cache.
int64_t rows_at_once(const recipe::Size& size, tensor::Dtype dtype) {
  constexpr int64_t kRows = 256;
  constexpr int kWide = 512;
  const bool streams = size.width >= kWide && dtype == tensor::Dtype::kBfloat16 && kernels::has_matrix_unit();
  return streams ? 2 * kRows : kRows;
}

int64_t divided_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

int sequences_at_once(const recipe::Size& size, tensor::Dtype dtype, int threads) {
  const int64_t of_thread = divided_up(std::max(1, size.batch_sequences), threads);
  const int64_t runs = divided_up(of_thread * size.context, std::max(rows_at_once(size, dtype), int64_t{size.context}));
  return static_cast<int>(divided_up(of_thread, runs));
}

LoadedModel::LoadedModel(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype dtype, int threads,
                         Purpose purpose)
    : program_(recipe, size, dtype, sequences_at_once(size, dtype, threads)),
      parameters_(program_.parameter_elements() * int64_t{sizeof(float)}),
      packed_(program_),
      team_(threads) {
  for (int thread = 0; thread < threads; ++thread) {
    executors_.push_back(
        std::make_unique<model::Executor>(program_, packed_, parameters().data(), purpose == Purpose::kTraining));
  }
}

void LoadedModel::initialise(uint64_t seed) {
  for (const model::ParameterInfo& parameter : program_.parameters()) {
    Rng rng(seed, hash64(parameter.name));
    float* values = parameters().data() + parameter.offset;
    const int64_t elements = parameter.shape.elements();
    if (parameter.initial_rule) {
      for (int64_t i = 0; i < elements; ++i) values[i] = static_cast<float>(parameter.initial_rule(rng, i));
    } else if (parameter.initial_sd > 0) {
      kernels::fill_normal(rng, static_cast<float>(parameter.initial_sd), values, elements);
    } else {
      kernels::fill(values, static_cast<float>(parameter.initial_value), elements);
    }
  }
  refresh();
}

void LoadedModel::refresh() {
  team_.run([&](int thread) { packed_.refresh(parameters().data(), thread, threads()); });
}

SampleLoss LoadedModel::evaluate(const data::EvalSample& sample) {
  const std::span windows(sample.windows);
  const std::span scored(sample.scored);
  std::vector<double> losses(static_cast<size_t>(sample.tokens));
  const auto at_once = static_cast<size_t>(program_.sequences()), team = static_cast<size_t>(threads());
  team_.run([&](int thread) {
    for (size_t i = static_cast<size_t>(thread) * at_once; i < windows.size(); i += team * at_once) {
      const size_t count = std::min(at_once, windows.size() - i);
      executor(thread).score(windows.subspan(i, count), scored.subspan(i, count),
                             losses.data() + sample.first_scored[i]);
    }
  });
  return sample_loss(sample, losses);
}

}  // namespace flywheel::train
