// An update rule of an optimizer: data about what it needs, and the function that updates the weights of one piece from
// its gradient. How to add one: docs/how-to-add-an-optimizer.md.
#pragma once

#include <cstdint>

#include "engine/tensor/arena.h"
#include "engine/tensor/tensor.h"

namespace flywheel::train {

// The scalars of one piece in one step.
struct UpdateStep {
  int64_t index = 0;         // of the step, 0 first
  float learning_rate = 0;   // the schedule's share in it
  float weight_decay = 0;    // decoupled: of learning_rate; 0 when `keep` says it another way
  float keep = 1;            // what decay leaves of a weight: 1 - learning_rate * weight_decay, or the form's own
  float gradient_scale = 1;  // clipping: multiplies the gradient before anything else
  float beta1 = 0, beta2 = 0, epsilon = 0, momentum = 0;
  float correction1 = 1, correction2 = 1;  // 1 - beta^(index + 1)
  float average_share = 0;                 // of the newest weights in the average (schedule_free)
  int soap_interval = 1;
  bool cautious = false;
  bool decoupled = true;                          // keep is exactly 1 - learning_rate * weight_decay
  tensor::Dtype dtype = tensor::Dtype::kFloat32;  // of products where bfloat16 is enough
};

// One piece: a matrix (rows, columns), dense, or a run of elements (rows is 1). `plane` k of the state has one value
// per element; state beyond the planes follows them.
struct PieceData {
  int64_t rows = 1, columns = 0;
  const float* gradient = nullptr;
  float* weight = nullptr;
  float* state = nullptr;
  int64_t plane_stride = 0;
  float* average = nullptr;  // of the weights; null unless the recipe keeps one
  std::byte* scratch = nullptr;
  int64_t elements() const { return rows * columns; }
  float* plane(int k) const { return state + k * plane_stride; }
};

struct UpdateRule {
  const char* name;
  bool whole_matrices = false;  // pieces are matrices, fused ones taken apart; otherwise runs of elements
  int planes = 1;               // floats of state for each element
  int64_t (*extra_state)(int64_t rows, int64_t columns) = nullptr;  // floats beyond the planes
  int64_t (*scratch_bytes)(int64_t rows, int64_t columns,
                           tensor::Dtype dtype) = nullptr;  // only while a piece is updated
  double (*cost)(int64_t rows, int64_t columns) = nullptr;  // in multiplications of a matrix product
  // Arithmetic of one update, for the accounts: a product of (m, k) by (k, n) is 2mkn; an addition, multiplication,
  // division or root of an element 1; comparisons and copies nothing. `interval`: steps between refreshes of what is
  // not computed in each (SOAP), whose share it includes; what only the first steps do is left out.
  double (*flops)(int64_t rows, int64_t columns, int interval) = nullptr;
  void (*start)(const PieceData& piece) = nullptr;  // state that begins from the weights; otherwise zeros
  void (*update)(const UpdateStep& step, const PieceData& piece) = nullptr;
};

// weight = keep * weight - rate * direction. Cautious (Liang et al. 2024): elements whose direction disagrees in sign
// with the gradient are masked, and the others are scaled by elements over unmasked elements. Elements with zero
// gradient are left out of both counts, so that the row of a rare token is not scaled up by the rows not seen.
void apply_direction(const UpdateStep& step, float rate, const float* direction, const PieceData& piece);

// FLOPs of apply_direction for each element.
inline constexpr double kApplyFlops = 3;

// Divides scratch memory into 64-byte aligned parts. Without memory it only sums the sizes.
class Carver {
 public:
  explicit Carver(std::byte* memory = nullptr) : memory_(memory) {}
  std::byte* bytes(int64_t count) {
    std::byte* part = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += tensor::align_up(count);
    return part;
  }
  float* floats(int64_t count) { return reinterpret_cast<float*>(bytes(count * int64_t{sizeof(float)})); }
  int64_t used() const { return used_; }

 private:
  std::byte* memory_;
  int64_t used_ = 0;
};

}  // namespace flywheel::train
