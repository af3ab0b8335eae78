// What turns a gradient into new weights: AdamW, or Muon on hidden matrices with AdamW on everything else. All of a
// model's parameters in one flat buffer, the work cut into fixed pieces that threads share: the result does not depend
// on which thread did what. Fused matrices (queries/keys/values, gate/up) are several matrices to Muon.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"
#include "recipe/recipe.h"
#include "recipe/size.h"
#include "tensor/arena.h"
#include "train/muon.h"

namespace flywheel::train {

// No allocation after construction. Methods that take `thread` are called by every thread of the team, each with its
// own index; between two of them all threads must have finished.
class Optimizer {
 public:
  // `parameters` describes the flat buffers given later; `compute_dtype` is that of Muon's products.
  Optimizer(const Recipe& recipe, const Size& size, std::span<const model::ParameterInfo> parameters, int64_t elements,
            Dtype compute_dtype, int threads);

  // Sums the threads' gradient buffers into the first one and takes the squares for the norm. Works on fixed chunks of
  // the buffer: the norm does not depend on the number of threads.
  void reduce(std::span<float* const> gradients, int thread);
  // After reduce: the global norm before clipping.
  double gradient_norm() const;

  // Sets the scalars of step `step` (0 first); `share` is the schedule's share of the peak rates. Call from one thread.
  void begin(int64_t step, double share, double gradient_norm);
  void update(const float* gradient, float* weights, int thread);

  // Moments, for checkpoints: all there is to keep.
  std::span<float> state() { return {reinterpret_cast<float*>(state_.data()), static_cast<size_t>(state_elements_)}; }
  std::span<const float> state() const {
    return {reinterpret_cast<const float*>(state_.data()), static_cast<size_t>(state_elements_)};
  }

 private:
  // A piece of the work: a run of elements (AdamW) or one matrix (Muon).
  struct Piece {
    bool muon = false;
    model::ParameterGroup group = model::ParameterGroup::kMatrix;
    int64_t offset = 0, elements = 0;  // in the flat buffers
    int64_t rows = 0, columns = 0;     // Muon
    int64_t moment1 = 0, moment2 = 0;  // in the state
    double cost = 0;
  };
  void add_pieces(const Recipe& recipe, const Size& size, const model::ParameterInfo& parameter);
  void share_out(int threads);
  double peak_rate(model::ParameterGroup group) const;

  Recipe::Optimizer rules_;
  float balance_rate_;
  Size size_;
  int64_t elements_;
  Dtype dtype_;
  int threads_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<size_t>> pieces_of_thread_;
  std::vector<MuonWorkspace> workspaces_;
  std::vector<double> chunk_squares_;
  Arena state_;
  int64_t state_elements_ = 0;
  float share_ = 0, clip_scale_ = 1, correction1_ = 1, correction2_ = 1;
};

}  // namespace flywheel::train
