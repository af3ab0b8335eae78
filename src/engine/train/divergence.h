// Detects divergence, a loss that is not finite or that exploded and stays high, so that a diverged run ends early.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace flywheel::train {

// What the watch has seen so far.
struct DivergenceState {
  double mean = 0, best = 0;
  int64_t observed = 0, above = 0;  // steps
};

// A running mean of the loss (over about kWindow steps) against the best one so far. Exploded: above both twice the
// uniform distribution's loss and three times the best, for kPatience steps in a row after the warm-up.
class DivergenceWatch {
 public:
  static constexpr double kWindow = 20;
  static constexpr int64_t kPatience = 10;

  DivergenceWatch(int vocabulary, int64_t warmup_steps);
  // The reason when the run has diverged; empty otherwise. `step` counts from 1.
  std::optional<std::string> observe(int64_t step, double loss, double gradient_norm);

  // Saved in checkpoints, so that a resumed run is judged as an uninterrupted one.
  const DivergenceState& state() const { return state_; }
  void restore(const DivergenceState& state) { state_ = state; }

 private:
  double uniform_loss_;
  int64_t warmup_steps_;
  DivergenceState state_;
};

}  // namespace flywheel::train
