#include "engine/train/precision.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/data/corpus.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/random.h"
#include "engine/model/model.h"
#include "engine/tensor/arena.h"

namespace flywheel::train {
namespace {

constexpr double kClearlyFaster = 1.05;
constexpr int kContext = 256, kRounds = 4;

// Forward and backward of one layer. Whole steps would mostly time the optimizer: for so few tokens it does more.
class TimedModel {
 public:
  TimedModel(int width, tensor::Dtype dtype)
      : program_(recipe(), size(width), dtype, 1),
        packed_(program_),
        parameters_(bytes()),
        gradients_(bytes()),
        tokens_(kContext + 1) {
    Rng rng(1);
    kernels::fill_normal(rng, 0.02f, floats(parameters_), program_.parameter_elements());
    for (uint16_t& token : tokens_) token = static_cast<uint16_t>(rng.below(256));
    packed_.refresh(floats(parameters_), 0, 1);
    executor_ = std::make_unique<model::Executor>(program_, packed_, floats(parameters_), true);
    seconds();  // first touch of every page
  }
  double seconds() {
    const model::Executor::Tokens sequence(tokens_);
    double loss = 0;
    const double start = real_clock().now_seconds();
    executor_->train({&sequence, 1}, 1.0f / kContext, floats(gradients_), &loss);
    return real_clock().now_seconds() - start;
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
    return size;
  }
  int64_t bytes() const { return program_.parameter_elements() * int64_t{sizeof(float)}; }
  static float* floats(tensor::Arena& arena) { return reinterpret_cast<float*>(arena.data()); }

  model::Program program_;
  model::PackedWeights packed_;
  tensor::Arena parameters_, gradients_;
  std::vector<uint16_t> tokens_;
  std::unique_ptr<model::Executor> executor_;
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
  TimedModel fp32(width, tensor::Dtype::kFloat32), bf16(width, tensor::Dtype::kBfloat16);
  timing.fp32_seconds = timing.bf16_seconds = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    timing.fp32_seconds = std::min(timing.fp32_seconds, fp32.seconds());
    timing.bf16_seconds = std::min(timing.bf16_seconds, bf16.seconds());
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
