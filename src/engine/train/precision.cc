#include "engine/train/precision.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include "base/rng.h"
#include "engine/kernels/kernels.h"
#include "engine/train/trainer.h"

namespace flywheel::train {
namespace {

constexpr double kClearlyFaster = 1.05;
constexpr int kContext = 128, kSequences = 2, kRounds = 5;

class TimedTrainer {
 public:
  TimedTrainer(int width, tensor::Dtype dtype, const data::BatchSampler& batches)
      : trainer_(recipe(), size(width), dtype, 1, 1), batches_(batches) {
    trainer_.step(batches_, 0);  // first touch of every page
  }
  double step_seconds() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    trainer_.step(batches_, ++step_);
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  static recipe::Recipe recipe() {
    recipe::Recipe recipe;
    recipe.model.ngram_embeddings = 0;  // the same in both precisions
    recipe.model.context = kContext;
    return recipe;
  }
  static recipe::Size size(int width) {
    recipe::Size size;
    size.vocabulary = data::kVocabulary;
    size.layers = 1;
    size.width = width;
    size.heads = size.kv_heads = std::max(1, width / recipe().model.head_dim);
    size.feed_forward = 4 * width;
    size.context = kContext;
    size.batch_sequences = kSequences;
    size.steps = 1 << 20;
    size.matrix_learning_rate = size.embedding_learning_rate = size.head_learning_rate = size.vector_learning_rate =
        1e-3;
    return size;
  }

  Trainer trainer_;
  const data::BatchSampler& batches_;
  int64_t step_ = 0;
};

}  // namespace

int nearest_timed_width(int width) {
  return *std::min_element(std::begin(kTimedWidths), std::end(kTimedWidths), [&](int a, int b) {
    const auto distance = [&](int timed) {
      return std::abs(std::log(static_cast<double>(timed) / std::max(1, width)));
    };
    return distance(a) < distance(b);
  });
}

recipe::Precision PrecisionTiming::faster() const {
  return bf16_seconds > 0 && bf16_seconds * kClearlyFaster < fp32_seconds ? recipe::Precision::kBfloat16
                                                                          : recipe::Precision::kFloat32;
}

PrecisionTiming time_precisions(int width) {
  PrecisionTiming timing{.width = width};
  if (!kernels::has_bfloat16_dot()) return timing;
  std::vector<uint16_t> tokens(4096);
  Rng rng(1);
  for (uint16_t& token : tokens) token = static_cast<uint16_t>(rng.below(256));
  const data::BatchSampler batches(tokens, kContext, kSequences, 1);
  TimedTrainer fp32(width, tensor::Dtype::kFloat32, batches), bf16(width, tensor::Dtype::kBfloat16, batches);
  timing.fp32_seconds = timing.bf16_seconds = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    timing.fp32_seconds = std::min(timing.fp32_seconds, fp32.step_seconds());
    timing.bf16_seconds = std::min(timing.bf16_seconds, bf16.step_seconds());
  }
  return timing;
}

std::vector<PrecisionTiming> time_all_precisions() {
  std::vector<PrecisionTiming> timings;
  for (const int width : kTimedWidths) timings.push_back(time_precisions(width));
  return timings;
}

recipe::Precision faster_precision(int width) {
  static std::mutex mutex;
  static std::map<int, recipe::Precision> known;
  const std::lock_guard lock(mutex);
  const int timed = nearest_timed_width(width);
  const auto place = known.find(timed);
  if (place != known.end()) return place->second;
  return known.emplace(timed, time_precisions(timed).faster()).first->second;
}

tensor::Dtype choose_dtype(recipe::Precision precision, int width) {
  if (precision == recipe::Precision::kAuto) precision = faster_precision(width);
  return precision == recipe::Precision::kBfloat16 ? tensor::Dtype::kBfloat16 : tensor::Dtype::kFloat32;
}

const char* precision_name(tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kBfloat16 ? "bf16" : "fp32";
}

}  // namespace flywheel::train
