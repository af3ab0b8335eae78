// Lion (Chen et al. 2023): the sign of a mixture of the gradient (1 - beta1) and its mean (beta1); the mean then decays
// by beta2.
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

void update(const UpdateStep& step, const PieceData& piece) {
  const int64_t n = piece.elements();
  float *mean = piece.plane(0), *direction = Carver(piece.scratch).floats(n);
  for (int64_t i = 0; i < n; ++i) {
    const float g = piece.gradient[i] * step.gradient_scale;
    const float mixture = step.beta1 * mean[i] + (1 - step.beta1) * g;
    direction[i] = static_cast<float>((mixture > 0) - (mixture < 0));
    mean[i] = step.beta2 * mean[i] + (1 - step.beta2) * g;
  }
  apply_direction(step, step.learning_rate, direction, piece);
}

}  // namespace

const UpdateRule kLion = {
    .name = "lion",
    .planes = 1,
    .scratch_bytes =
        [](int64_t rows, int64_t columns, tensor::Dtype) {
          Carver plan;
          plan.floats(rows * columns);
          return plan.used();
        },
    .cost = [](int64_t rows, int64_t columns) { return 20.0 * static_cast<double>(rows * columns); },
    // Clipping 1, mixture 3, mean 3.
    .flops = [](int64_t rows, int64_t columns, int) { return (7 + kApplyFlops) * static_cast<double>(rows * columns); },
    .update = update,
};

}  // namespace flywheel::train
