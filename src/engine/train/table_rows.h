// Hashed n-gram tables under AdamW. A step looks up few of their rows, and the others have no gradient; so a row is
// updated when it is looked up, and then first brought to where Adam's momentum has carried it meanwhile. That is
// AdamW on all rows, but for epsilon, which is taken to shrink with the root of the mean square while a row rests:
// over the steps j after step s, when the row was last updated,
//   w -= rate m / (sqrt(v / c2_s) + epsilon) * sum_j share_j (beta1 / sqrt(beta2))^(j - s) sqrt(c2_j / c2_s) / c1_j
// with c1_j and c2_j the corrections of Adam's bias. The sum is the same for every row last updated at s. Tables have
// no weight decay.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/elementwise.h"
#include "engine/model/model.h"
#include "engine/train/optimizer_plan.h"

namespace flywheel::train {

// No allocation after construction; 8 bytes for each step of the run. Steps are counted from 0; methods that take
// `thread` are called by every thread of the team, and between two of them all must have finished. State and weights
// are those of the optimizer, state[last] the steps that a row has seen.
class TableRows {
 public:
  using Tokens = model::Executor::Tokens;
  TableRows(const OptimizerPlan& plan, const recipe::Recipe& recipe, const recipe::Size& size, int64_t elements,
            int threads);

  // Parts of the flat buffer that are in no such table: whatever is done to all elements is done to these.
  struct Range {
    int64_t begin, count;
  };
  std::span<const Range> others() const { return others_; }

  // Call from one thread: the rows that the sequences of step `step` look up.
  void touch(int64_t step, std::span<const Tokens> sequences);
  // Before the sequences are trained: brings the touched rows to the step.
  void catch_up(float* weights, float* state, int thread) const;
  // Zeroes the touched rows of one gradient buffer.
  void clear(float* gradient) const;
  // Sums the touched rows of all buffers into the first, and takes their squares.
  void reduce(std::span<float* const> gradients, int thread);
  double squares() const;
  // `step`: its scalars, of which a table has its own rate and epsilon.
  void update(const UpdateStep& step, double share, const float* gradient, float* weights, float* state,
              int thread) const;

  // Brings the weights of all rows to the end of the steps so far (`steps` of them), for weights that are evaluated or
  // kept. The state stays as it was, so that training goes on from the weights before, bit for bit: `before` (may be
  // null) has room for those of all tables, and put_back() puts them back.
  void count_steps(int64_t steps);
  void wake(float* weights, const float* state, float* before, int thread) const;
  void put_back(const float* before, float* weights, int thread) const;
  int64_t elements() const;  // of all tables
  // False for a state that no run is in after so many steps: a damaged checkpoint.
  bool holds(std::span<const float> state, int64_t steps) const;

 private:
  struct Row {
    int32_t table, row;
  };
  void coast(const TablePiece& table, int64_t row, float* weights, float* state) const;
  kernels::AdamwRest rest_of(const TablePiece& table, int64_t seen) const;
  std::pair<size_t, size_t> share_of(int thread) const;

  std::span<const TablePiece> tables_;
  recipe::Recipe::Schedule schedule_;
  recipe::Size size_;
  double beta1_, beta2_;
  int threads_;
  std::vector<Range> others_;
  std::vector<std::vector<int64_t>> touched_at_;  // of each table's rows: 1 + the step that last touched it
  std::vector<Row> touched_;
  std::vector<double> squares_;         // of each touched row's gradient
  std::vector<double> powers_;          // of beta1 / sqrt(beta2), as far as they count
  std::vector<double> sums_;            // of rows last updated at s, up to the step counted_
  std::vector<double> roots_;           // 1 / sqrt(c2_s), as far as it is not 1
  std::vector<float> fades1_, fades2_;  // beta^k, as far as they are not 0
  int64_t counted_ = 0;
};

}  // namespace flywheel::train
