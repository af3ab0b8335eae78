// What turns a gradient into new weights: the recipe's rules (train/rules/) on all of a model's parameters in one flat
// buffer, with clipping, the forms of weight decay, and averages of the weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/arena.h"
#include "engine/train/optimizer_plan.h"

namespace flywheel::train {

// No allocation after construction. Methods that take `thread` are called by every thread of the team, each with its
// own index; between two of them all threads must have finished.
class Optimizer {
 public:
  // `parameters` describes the flat buffers given later; `compute_dtype` is that of the rules' products.
  Optimizer(const recipe::Recipe& recipe, const recipe::Size& size, std::span<const model::ParameterInfo> parameters,
            int64_t elements, tensor::Dtype compute_dtype, int threads);

  // Before the first step of a run: the state that begins from the weights.
  void start(std::span<float> weights);

  // Sums the threads' gradient buffers into the first one and takes the squares for the norm. Works on fixed chunks of
  // the buffer: the norm does not depend on the number of threads.
  void reduce(std::span<float* const> gradients, int thread);
  // After reduce: the global norm before clipping.
  double gradient_norm() const;

  // Sets the scalars of step `step` (0 first); `share` is the schedule's share of the peak rates. Call from one thread,
  // once a step.
  void begin(int64_t step, double share, double gradient_norm);
  void update(const float* gradient, float* weights, int thread);

  // All there is to keep for checkpoints; its end is average().
  std::span<float> state() {
    return {reinterpret_cast<float*>(state_.data()), static_cast<size_t>(plan_.state_elements)};
  }
  // Of the weights, as long as they are, when the recipe keeps one: what is evaluated and kept. Empty otherwise.
  std::span<float> average() { return state().subspan(static_cast<size_t>(plan_.average)); }

 private:
  double average_share(int64_t step, double share);
  PieceData data_of(const OptimizerPiece& piece, float* weights, int thread);  // without a gradient
  void decay_gradient(const OptimizerPiece& piece, RuleStep& step, PieceData& data, int thread) const;

  recipe::Recipe::Optimizer rules_;
  int64_t steps_, elements_;
  tensor::Dtype dtype_;
  int threads_;
  OptimizerPlan plan_;
  std::vector<tensor::Arena> scratch_, decayed_gradients_;  // of the threads
  std::vector<double> chunk_squares_;
  tensor::Arena state_;
  double share_ = 0, average_share_ = 0;
  RuleStep step_;  // what all pieces have in common
};

}  // namespace flywheel::train
