// The optimizer's plan: which update rule handles which piece of the flat buffer, the state it keeps, and the thread
// that runs it. Computed once from recipe, size and parameters; it holds no buffers. Each piece belongs to one thread
// and touches no other piece, so results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model.h"
#include "engine/train/update_rules/update_rule.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::train {

// True when the weights that are evaluated and kept are not those that are trained: an average, or schedule-free's x.
bool keeps_average(const recipe::Recipe& recipe);

struct OptimizerPiece {
  const UpdateRule* rule = nullptr;
  model::ParameterGroup group = model::ParameterGroup::kMatrix;
  int64_t offset = 0, rows = 1, columns = 0;  // in the flat buffers; a run of elements is one row
  int64_t state = 0, plane_stride = 0;        // in the state
  double learning_rate = 0;                   // peak, of this size
  double weight_decay = 0, epsilon = 0;
  int64_t elements() const { return rows * columns; }
};

// A hashed n-gram table whose rows are updated as they are looked up (train/table_rows.h).
struct TablePiece {
  int ngram = 0;
  int64_t offset = 0, rows = 0, columns = 0;  // in the flat buffers
  int64_t state = 0, last = 0;                // in the state: two planes; of each row, the steps that it has seen
  double learning_rate = 0, epsilon = 0;
  int64_t elements() const { return rows * columns; }
};

struct OptimizerPlan {
  // `run`: elements of a piece of what is updated element by element; runs are what threads share.
  OptimizerPlan(const recipe::Recipe& recipe, const recipe::Size& size,
                std::span<const model::ParameterInfo> parameters, int64_t elements, tensor::Dtype compute_dtype,
                int threads, int64_t run = kRun);
  static constexpr int64_t kRun = 16384;

  std::vector<OptimizerPiece> pieces;
  std::vector<TablePiece> tables;  // by offset; the pieces are of everything else
  std::vector<std::vector<size_t>> pieces_of_thread;
  // Layout of the state: what the update rules keep, some scalars, then the average if there is one.
  static constexpr int64_t kScalars = 16;
  int64_t scalars = 0, average = 0, state_elements = 0;
  // The state of a run that updated whole tables in each of its `steps`, as earlier programs did, in this plan's
  // layout; empty where it is not of that size.
  std::vector<float> state_of_whole_tables(std::span<const float> state, int64_t steps) const;
  std::vector<int64_t> scratch_bytes;  // of each thread
  int64_t largest_piece = 0;           // elements

 private:
  void add(const recipe::Recipe& recipe, const recipe::Size& size, const model::ParameterInfo& parameter, int64_t run);
  void share_out(tensor::Dtype dtype, int threads);
};

}  // namespace flywheel::train
