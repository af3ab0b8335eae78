#include "engine/train/update_rules/update_rule.h"

#include <algorithm>

namespace flywheel::train {
namespace {

constexpr float kSmallestShare = 1e-3f;  // as in the authors' code: nothing grows more than a thousandfold

bool agrees(float direction, float gradient) {
  return (direction > 0 && gradient > 0) || (direction < 0 && gradient < 0);
}

}  // namespace

void apply_direction(const UpdateStep& step, float rate, const float* direction, const PieceData& piece) {
  const int64_t n = piece.elements();
  float* weight = piece.weight;
  if (!step.cautious) {
    for (int64_t i = 0; i < n; ++i) weight[i] = step.keep * weight[i] - rate * direction[i];
    return;
  }
  int64_t kept = 0, counted = 0;
  for (int64_t i = 0; i < n; ++i) {
    kept += agrees(direction[i], piece.gradient[i]);
    counted += piece.gradient[i] != 0;
  }
  const float share = static_cast<float>(kept) / static_cast<float>(std::max<int64_t>(1, counted));
  const float larger = rate / std::max(share, kSmallestShare);
  for (int64_t i = 0; i < n; ++i) {
    weight[i] = step.keep * weight[i] - (agrees(direction[i], piece.gradient[i]) ? larger * direction[i] : 0.0f);
  }
}

}  // namespace flywheel::train
