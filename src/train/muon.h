// Muon's direction for one matrix: momentum, then the nearest orthogonal matrix by Newton-Schulz iterations (Jordan et
// al. 2024; the momentum is Nesterov's). Works on a matrix inside a larger buffer; no allocation.
#pragma once

#include <cstdint>

#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace flywheel::train {

struct MuonStep {
  float learning_rate, momentum, weight_decay;
  float gradient_scale;  // clipping
};

// Scratch memory for matrices up to the sizes it was made for. One per thread.
class MuonWorkspace {
 public:
  // rows and columns of any matrix that will be given, in one call per shape before the first update.
  void reserve(int64_t rows, int64_t columns, Dtype dtype);

 private:
  friend void muon_update(const MuonStep&, Dtype, int64_t, int64_t, const float*, float*, float*, MuonWorkspace&);
  void ensure(Arena& arena, int64_t bytes);
  Arena x_, product_, square_, packed_, operand_;
};

// gradient, weight, buffer (momentum): (rows, columns), dense. buffer = momentum * buffer + gradient; the update is the
// orthogonalised (gradient + momentum * buffer), times sqrt(max(1, rows / columns)) (Jordan's scale), and decay is
// decoupled. dtype: of the iterations' products (bfloat16 is enough: the result need not be exactly orthogonal).
void muon_update(const MuonStep& step, Dtype dtype, int64_t rows, int64_t columns, const float* gradient, float* weight,
                 float* buffer, MuonWorkspace& workspace);

// Multiplications of one update, for balancing work between threads.
double muon_cost(int64_t rows, int64_t columns);

}  // namespace flywheel::train
