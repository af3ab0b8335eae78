#include "train/loaded_model.h"

#include <numbers>

#include "base/hash.h"
#include "base/rng.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "kernels/random.h"

namespace flywheel::train {

Dtype choose_dtype(Precision precision) {
  const bool bfloat16 =
      precision == Precision::kBfloat16 || (precision == Precision::kAuto && kernels::has_bfloat16_dot());
  return bfloat16 ? Dtype::kBfloat16 : Dtype::kFloat32;
}

const char* precision_name(Dtype dtype) {
  return dtype == Dtype::kBfloat16 ? "bf16" : "fp32";
}

LoadedModel::LoadedModel(const Recipe& recipe, const Size& size, Dtype dtype, int threads, Purpose purpose)
    : program_(recipe, size, dtype),
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

Evaluation LoadedModel::evaluate(const data::EvalSample& sample) {
  std::vector<double> losses(sample.windows.size());
  team_.run([&](int thread) {
    for (size_t i = static_cast<size_t>(thread); i < losses.size(); i += static_cast<size_t>(threads()))
      losses[i] = executor(thread).eval_sequence(sample.windows[i]);
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return {.loss = sum / static_cast<double>(sample.target_tokens),
          .bits_per_byte = sum / std::numbers::ln2 / static_cast<double>(sample.target_bytes),
          .tokens = sample.target_tokens};
}

}  // namespace flywheel::train
