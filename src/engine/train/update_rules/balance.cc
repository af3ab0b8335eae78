// Loss-free balancing (Wang et al. 2024): the bias of an expert that got more tokens than the mean goes down by one
// step, of one that got fewer up, both of the same length. The gradient is the surplus; its sign is all that counts.
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

void update(const UpdateStep& step, const PieceData& piece) {
  for (int64_t i = 0; i < piece.elements(); ++i) {
    const float surplus = piece.gradient[i];
    piece.weight[i] -= step.learning_rate * static_cast<float>((surplus > 0) - (surplus < 0));
    // Choices follow the newest biases: there is no use in averaging them.
    if (piece.average != nullptr) piece.average[i] = piece.weight[i];
  }
}

}  // namespace

const UpdateRule kBalance = {
    .name = "balance",
    .planes = 0,
    .cost = [](int64_t rows, int64_t columns) { return static_cast<double>(rows * columns); },
    .flops = [](int64_t rows, int64_t columns, int) { return 2.0 * static_cast<double>(rows * columns); },
    .update = update,
};

}  // namespace flywheel::train
