#include "engine/train/divergence.h"

#include <algorithm>
#include <cmath>

namespace flywheel::train {

DivergenceWatch::DivergenceWatch(int vocabulary, int64_t warmup_steps)
    : uniform_loss_(std::log(vocabulary)), warmup_steps_(warmup_steps) {}

std::optional<std::string> DivergenceWatch::observe(int64_t step, double loss, double gradient_norm) {
  if (!std::isfinite(loss)) return fmt::format("the loss of step {} is {}", step, loss);
  if (!std::isfinite(gradient_norm)) return fmt::format("the gradient norm of step {} is {}", step, gradient_norm);
  ++observed_;
  mean_ += (loss - mean_) / std::min(kWindow, static_cast<double>(observed_));
  best_ = observed_ == 1 ? mean_ : std::min(best_, mean_);
  const double limit = std::max(2 * uniform_loss_, 3 * best_);
  above_ = step > warmup_steps_ && mean_ > limit ? above_ + 1 : 0;
  if (above_ < kPatience) return std::nullopt;
  return fmt::format("the loss stays at {:.4g} nats, above {:.4g}, after a best of {:.4g}", mean_, limit, best_);
}

Json DivergenceWatch::to_json() const {
  return Json{{"mean", mean_}, {"best", best_}, {"observed", observed_}, {"above", above_}};
}

void DivergenceWatch::restore(const Json& json, const std::string& where) {
  mean_ = json_field<double>(json, "mean", where);
  best_ = json_field<double>(json, "best", where);
  observed_ = json_field<int64_t>(json, "observed", where);
  above_ = json_field<int64_t>(json, "above", where);
}

}  // namespace flywheel::train
