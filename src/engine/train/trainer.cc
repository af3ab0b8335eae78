#include "engine/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/clock.h"
#include "engine/train/schedule.h"

namespace flywheel::train {
Trainer::Trainer(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype dtype, int threads,
                 uint64_t seed)
    : recipe_(recipe),
      size_(size),
      model_(recipe, size, dtype, threads, LoadedModel::Purpose::kTraining),
      optimizer_(recipe, size, model_.program().parameters(), model_.program().parameter_elements(), dtype, threads),
      resting_(optimizer_.table_rows().elements() * int64_t{sizeof(float)}),
      drawn_(static_cast<size_t>(size.batch_sequences)),
      losses_(drawn_.size()) {
  // A thread without a sequence needs no buffer.
  const int buffers = std::min(threads, size.batch_sequences);
  for (int i = 0; i < buffers; ++i) {
    gradient_memory_.emplace_back(model_.program().parameter_elements() * int64_t{sizeof(float)});
    gradients_.push_back(reinterpret_cast<float*>(gradient_memory_.back().data()));
  }
  prepare_ = [this](int thread) {
    const auto index = static_cast<size_t>(thread);
    optimizer_.prepare(parameters().data(), index < gradients_.size() ? gradients_[index] : nullptr, thread);
  };
  train_ = [this](int thread) { train_sequences(thread); };
  reduce_ = [this](int thread) { optimizer_.reduce(gradients_, thread); };
  update_ = [this](int thread) { optimizer_.update(gradients_[0], parameters().data(), thread); };
  wake_ = [this](int thread) {
    optimizer_.table_rows().wake(parameters().data(), optimizer_.state().data(),
                                 reinterpret_cast<float*>(resting_.data()), thread);
  };
  put_back_ = [this](int thread) {
    optimizer_.table_rows().put_back(reinterpret_cast<const float*>(resting_.data()), parameters().data(), thread);
  };
  refresh_ = [this](int thread) { model_.packed().refresh(parameters().data(), thread, model_.threads()); };
  model_.initialise(seed);
  optimizer_.start(parameters());
}

void Trainer::train_sequences(int thread) {
  const int threads = static_cast<int>(gradients_.size());
  if (thread >= threads) return;
  float* gradients = gradients_[static_cast<size_t>(thread)];
  const float loss_scale = 1.0f / (static_cast<float>(sequences_) * static_cast<float>(size_.context));
  const int last = sequences_ * (thread + 1) / threads, at_once = model_.program().sequences();
  for (int i = sequences_ * thread / threads; i < last; i += at_once) {
    const auto first = static_cast<size_t>(i), count = static_cast<size_t>(std::min(at_once, last - i));
    const std::span run = std::span(drawn_).subspan(first, count);
    model_.executor(thread).train(run, loss_scale, gradients, losses_.data() + first);
  }
}

StepResult Trainer::step(const data::BatchSampler& batches, int64_t step) {
  const double begun = real_clock().now_seconds();
  sequences_ = size_.sequences_at(step);
  steps_done_ = step + 1;
  const std::span drawn = std::span(drawn_).first(static_cast<size_t>(sequences_));
  for (int i = 0; i < sequences_; ++i) drawn[static_cast<size_t>(i)] = batches.drawn(size_.sequences_before(step) + i);
  ThreadPool& team = model_.team();
  optimizer_.touch(step, drawn);
  team.run(prepare_);
  const double prepared = real_clock().now_seconds();
  seconds_.optimizer += prepared - begun;
  team.run(train_);
  const double trained = real_clock().now_seconds();
  seconds_.sequences += trained - prepared;
  team.run(reduce_);
  double sum = 0;
  for (int i = 0; i < sequences_; ++i) sum += losses_[static_cast<size_t>(i)];
  const double share = learning_rate_share(recipe_.schedule, size_, step);
  const StepResult result{.loss = sum / (static_cast<double>(sequences_) * size_.context),
                          .gradient_norm = optimizer_.gradient_norm(),
                          .learning_rate = size_.matrix_learning_rate * share};
  if (!std::isfinite(result.loss) || !std::isfinite(result.gradient_norm)) return result;
  optimizer_.begin(step, share, result.gradient_norm);
  team.run(update_);
  team.run(refresh_);
  seconds_.optimizer += real_clock().now_seconds() - trained;
  return result;
}

void Trainer::resume(int64_t steps) {
  steps_done_ = steps;
  optimizer_.table_rows().count_steps(steps);
  model_.refresh();
}

void Trainer::wake_rows() {
  optimizer_.table_rows().count_steps(steps_done_);
  model_.team().run(wake_);
}

std::span<float> Trainer::kept_parameters() {
  if (!kept_ && optimizer_.table_rows().elements() > 0) wake_rows();
  kept_ = true;
  return optimizer_.average().empty() ? parameters() : optimizer_.average();
}

// The model's weights change places with the average: twice is as before, bit for bit.
void Trainer::exchange_average() {
  const std::span<float> average = optimizer_.average();
  if (average.empty()) return;
  std::swap_ranges(average.begin(), average.end(), parameters().begin());
  model_.refresh();
}

SampleLoss Trainer::evaluate(const data::EvalSample& sample) {
  const bool rests = !kept_ && optimizer_.table_rows().elements() > 0;
  if (rests) wake_rows();
  exchange_average();
  const SampleLoss evaluation = model_.evaluate(sample);
  exchange_average();
  if (rests) model_.team().run(put_back_);
  return evaluation;
}

}  // namespace flywheel::train
