// Schedule-free AdamW (Defazio et al. 2024): gradients are taken at y, between the steps' own sequence z and its
// average x, which is what is evaluated and kept. y is the model's weights while it trains; z and the mean square are
// the state; x is the average that the optimizer keeps beside the weights. Needs warm-up and no decay of the learning
// rate.
#include <cmath>

#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

void start(const PieceData& piece) {
  for (int64_t i = 0; i < piece.elements(); ++i) piece.plane(0)[i] = piece.weight[i];
}

// Decay is taken at y, as in the paper: z -= (1 - keep) * y.
void update(const UpdateStep& step, const PieceData& piece) {
  const int64_t n = piece.elements();
  float *z = piece.plane(0), *square = piece.plane(1), *x = piece.average, *y = piece.weight;
  const float rate = step.learning_rate * std::sqrt(step.correction2), decay = 1 - step.keep;
  for (int64_t i = 0; i < n; ++i) {
    const float g = piece.gradient[i] * step.gradient_scale;
    square[i] = step.beta2 * square[i] + (1 - step.beta2) * g * g;
    z[i] -= rate * g / (std::sqrt(square[i]) + step.epsilon) + decay * y[i];
    x[i] += step.average_share * (z[i] - x[i]);
    y[i] = (1 - step.beta1) * z[i] + step.beta1 * x[i];
  }
}

}  // namespace

const UpdateRule kScheduleFree = {
    .name = "schedule_free",
    .planes = 2,
    .cost = [](int64_t rows, int64_t columns) { return 25.0 * static_cast<double>(rows * columns); },
    // Clipping 1, square 4, z 7, x 3, y 3.
    .flops = [](int64_t rows, int64_t columns, int) { return 18.0 * static_cast<double>(rows * columns); },
    .start = start,
    .update = update,
};

}  // namespace flywheel::train
