// The optimizer: applies the recipe's update rules (train/update_rules/) to all parameters of a model in one flat
// buffer, with gradient clipping, the forms of weight decay, and weight averaging.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/arena.h"
#include "engine/train/optimizer_plan.h"
#include "engine/train/table_rows.h"

namespace flywheel::train {

// No allocation after construction. Methods that take `thread` are called by every thread of the team, each with its
// own index; between two of them all threads must have finished.
class Optimizer {
 public:
  // `parameters` describes the flat buffers given later; `compute_dtype` is that of the update rules' products.
  Optimizer(const recipe::Recipe& recipe, const recipe::Size& size, std::span<const model::ParameterInfo> parameters,
            int64_t elements, tensor::Dtype compute_dtype, int threads);

  // Call before the first step of a run: initialises the state that starts from the weights.
  void start(std::span<float> weights);

  // Before the sequences of step `step` are trained, from one thread: which rows of hashed tables they look up.
  void touch(int64_t step, std::span<const TableRows::Tokens> sequences) { table_rows_.touch(step, sequences); }
  // Then, by every thread: brings these rows of the weights to the step, and zeroes its gradient buffer, if it has one.
  void prepare(float* weights, float* gradient, int thread);

  // Sums the threads' gradient buffers into the first one and takes the squares for the norm. Works on fixed chunks of
  // the buffer, and on touched rows: the norm does not depend on the number of threads.
  void reduce(std::span<float* const> gradients, int thread);
  // After reduce: the global norm before clipping.
  double gradient_norm() const;

  // Sets the scalars of step `step` (0 first); `share` is the schedule's share of the peak rates. Call from one thread,
  // once a step.
  void begin(int64_t step, double share, double gradient_norm);
  void update(const float* gradient, float* weights, int thread);

  const OptimizerPlan& plan() const { return plan_; }
  // Rows of hashed tables that rest, for weights that are evaluated or kept.
  TableRows& table_rows() { return table_rows_; }

  // The whole state, as checkpoints keep it; average() is its last part.
  std::span<float> state() {
    return {reinterpret_cast<float*>(state_.data()), static_cast<size_t>(plan_.state_elements)};
  }
  // The average of the weights, which is evaluated and kept; as long as the parameters. Empty when the recipe keeps
  // none.
  std::span<float> average() { return state().subspan(static_cast<size_t>(plan_.average)); }

 private:
  double average_share(int64_t step, double share);
  PieceData data_of(const OptimizerPiece& piece, float* weights, int thread);  // without a gradient
  void decay_gradient(const OptimizerPiece& piece, UpdateStep& step, PieceData& data, int thread) const;

  recipe::Recipe::Optimizer rules_;
  int64_t steps_;
  tensor::Dtype dtype_;
  int threads_;
  OptimizerPlan plan_;
  TableRows table_rows_;
  std::vector<TableRows::Range> chunks_;                    // that are reduced at a time
  std::vector<tensor::Arena> scratch_, decayed_gradients_;  // of the threads
  std::vector<double> chunk_squares_;
  tensor::Arena state_;
  double share_ = 0, average_share_ = 0;
  UpdateStep step_;  // what all pieces have in common
};

}  // namespace flywheel::train
