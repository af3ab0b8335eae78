#include "campaign/throughput.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace flywheel::campaign {
namespace {

constexpr double kLeastTrainingShare = 0.2;
constexpr double kBandwidth = 1.0;  // in ln N: neighbours up to about 3x away count

}  // namespace

void Throughput::add(double parameters, double flops, double seconds) {
  if (parameters <= 0 || flops <= 0 || seconds <= 0) return;
  // Runs barely longer than their start-up count too: with a small budget there may be no others.
  const double training_seconds = std::max(seconds - kStartupSeconds, kLeastTrainingShare * seconds);
  // Longer runs get more weight, but less than in proportion, since the machine's speed drifts.
  observations_.push_back(
      {std::log(parameters), std::log(flops / training_seconds), std::sqrt(std::min(training_seconds, 60.0))});
}

double Throughput::flops_per_second(double parameters) const {
  CHECK(!observations_.empty());
  double low = observations_[0].log_parameters, high = low;
  for (const Observation& o : observations_) {
    low = std::min(low, o.log_parameters);
    high = std::max(high, o.log_parameters);
  }
  const double x = std::clamp(std::log(parameters), low, high);
  double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
  for (const Observation& o : observations_) {
    const double distance = (o.log_parameters - x) / kBandwidth;
    const double weight = o.weight * (std::exp(-0.5 * distance * distance) + 1e-4);
    const double dx = o.log_parameters - x;
    w += weight;
    wx += weight * dx;
    wy += weight * o.log_rate;
    wxx += weight * dx * dx;
    wxy += weight * dx * o.log_rate;
  }
  const double ridge = 0.05 * w;  // regularises the slope when only one size was observed
  const double slope = (wxy - wx * wy / w) / (wxx - wx * wx / w + ridge);
  return std::exp(wy / w - slope * wx / w);
}

}  // namespace flywheel::campaign
