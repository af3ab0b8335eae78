#include "engine/train/divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace flywheel::train {

DivergenceWatch::DivergenceWatch(int vocabulary, int64_t warmup_steps)
    : uniform_loss_(std::log(vocabulary)), warmup_steps_(warmup_steps) {}

std::optional<std::string> DivergenceWatch::observe(int64_t step, double loss, double gradient_norm) {
  if (!std::isfinite(loss)) return fmt::format("the loss of step {} is {}", step, loss);
  if (!std::isfinite(gradient_norm)) return fmt::format("the gradient norm of step {} is {}", step, gradient_norm);
  ++state_.observed;
  state_.mean += (loss - state_.mean) / std::min(kWindow, static_cast<double>(state_.observed));
  state_.best = state_.observed == 1 ? state_.mean : std::min(state_.best, state_.mean);
  const double limit = std::max(2 * uniform_loss_, 3 * state_.best);
  state_.above = step > warmup_steps_ && state_.mean > limit ? state_.above + 1 : 0;
  if (state_.above < kPatience) return std::nullopt;
  return fmt::format("the loss stays at {:.4g} nats, above {:.4g}, after a best of {:.4g}", state_.mean, limit,
                     state_.best);
}

}  // namespace flywheel::train
