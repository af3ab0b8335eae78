// AdamW (Loshchilov and Hutter 2019): the mean of the gradient over the root of its mean square, both without the bias
// of their start.
#include <cmath>

#include "engine/kernels/elementwise.h"
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

void update(const UpdateStep& step, const PieceData& piece) {
  const int64_t n = piece.elements();
  float *mean = piece.plane(0), *square = piece.plane(1);
  if (step.decoupled && !step.cautious) {
    kernels::adamw({.learning_rate = step.learning_rate,
                    .beta1 = step.beta1,
                    .beta2 = step.beta2,
                    .epsilon = step.epsilon,
                    .weight_decay = step.weight_decay,
                    .correction1 = step.correction1,
                    .correction2 = step.correction2,
                    .gradient_scale = step.gradient_scale},
                   piece.gradient, piece.weight, mean, square, n);
    return;
  }
  float* direction = Carver(piece.scratch).floats(n);
  const float inverse1 = 1 / step.correction1, inverse2 = 1 / step.correction2;
  for (int64_t i = 0; i < n; ++i) {
    const float g = piece.gradient[i] * step.gradient_scale;
    mean[i] = step.beta1 * mean[i] + (1 - step.beta1) * g;
    square[i] = step.beta2 * square[i] + (1 - step.beta2) * g * g;
    direction[i] = mean[i] * inverse1 / (std::sqrt(square[i] * inverse2) + step.epsilon);
  }
  apply_direction(step, step.learning_rate, direction, piece);
}

}  // namespace

const UpdateRule kAdamw = {
    .name = "adamw",
    .planes = 2,
    .scratch_bytes =
        [](int64_t rows, int64_t columns, tensor::Dtype) {
          Carver plan;
          plan.floats(rows * columns);
          return plan.used();
        },
    .cost = [](int64_t rows, int64_t columns) { return 20.0 * static_cast<double>(rows * columns); },
    // Clipping 1, mean 3, square 4, direction 5.
    .flops = [](int64_t rows, int64_t columns,
                int) { return (13 + kApplyFlops) * static_cast<double>(rows * columns); },
    .update = update,
};

}  // namespace flywheel::train
