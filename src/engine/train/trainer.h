// Training steps of one model. Each thread trains its part of the batch's sequences through its own executor into its
// own gradient buffer; gradients are reduced, the optimizer run and the packed weights refreshed once per step. The
// same recipe, size, seed, data and number of threads give bit-identical losses; nothing is allocated in a step.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/data/corpus.h"
#include "engine/train/loaded_model.h"
#include "engine/train/optimizer.h"

namespace flywheel::train {

struct StepResult {
  double loss = 0;           // mean nats per token of the batch, before the update
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;  // of hidden matrices
};

// Of all steps so far: forward and backward, and what goes before and after (rows of tables brought up to date,
// gradients zeroed and reduced; update and packing).
struct StepSeconds {
  double sequences = 0, optimizer = 0;
};

// Used from one thread; it drives its own team.
class Trainer {
 public:
  Trainer(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype dtype, int threads, uint64_t seed);

  // Step `step`, 0 first. A loss or gradient that is not finite is returned, and no update is made from it.
  // Throws what the sampler throws.
  StepResult step(const data::BatchSampler& batches, int64_t step);

  // With the weights that a finished run keeps: the average if there is one.
  SampleLoss evaluate(const data::EvalSample& sample);

  const StepSeconds& seconds() const { return seconds_; }
  LoadedModel& model() { return model_; }
  // What a checkpoint keeps. After writing into either, those of a run after `steps`: resume(steps).
  void resume(int64_t steps);
  std::span<float> parameters() { return model_.parameters(); }
  std::span<float> optimizer_state() { return optimizer_.state(); }
  const OptimizerPlan& optimizer_plan() const { return optimizer_.plan(); }
  // Whether the optimizer's state can be that of a run after so many steps.
  bool holds(int64_t steps) { return optimizer_.table_rows().holds(optimizer_.state(), steps); }
  // What a finished run leaves, after which it trains no further: the optimizer's average of the weights when the
  // recipe keeps one, else the weights.
  std::span<float> kept_parameters();

 private:
  void train_sequences(int thread);
  void exchange_average();
  void wake_rows();

  recipe::Recipe recipe_;
  recipe::Size size_;
  LoadedModel model_;
  Optimizer optimizer_;
  std::vector<tensor::Arena> gradient_memory_;
  tensor::Arena resting_;  // weights of hashed tables as training left them, while woken ones are evaluated
  std::vector<float*> gradients_;
  std::vector<model::Executor::Tokens> drawn_;  // the step's sequences
  std::vector<double> losses_;                  // of them
  int sequences_ = 0;                           // in the step at hand
  int64_t steps_done_ = 0;
  bool kept_ = false;  // rows that rested have been woken for good
  StepSeconds seconds_;
  // Made once: a std::function made in a step would allocate.
  std::function<void(int)> prepare_, train_, reduce_, update_, refresh_, wake_, put_back_;
};

}  // namespace flywheel::train
