// When a run is lost: a loss that is no number, or one that exploded and stays there. Why: a diverged run must end, say
// so and cost no more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace flywheel::train {

// A running mean of the loss (over about kWindow steps) against the best one so far. Exploded: above both twice the
// uniform distribution's loss and three times the best, for kPatience steps in a row after the warm-up.
class DivergenceWatch {
 public:
  static constexpr double kWindow = 20;
  static constexpr int64_t kPatience = 10;

  DivergenceWatch(int vocabulary, int64_t warmup_steps);
  // Why the run is lost, or nothing. `step` counts from 1.
  std::optional<std::string> observe(int64_t step, double loss, double gradient_norm);

  // For checkpoints: a resumed run judges as the uninterrupted one would.
  Json to_json() const;
  void restore(const Json& json, const std::string& where);

 private:
  double uniform_loss_;
  int64_t warmup_steps_;
  double mean_ = 0, best_ = 0;
  int64_t observed_ = 0, above_ = 0;
};

}  // namespace flywheel::train
