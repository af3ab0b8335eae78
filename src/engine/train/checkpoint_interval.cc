#include "engine/train/checkpoint_interval.h"

#include <algorithm>
#include <cmath>

namespace flywheel::train {
namespace {

// Before anything is known a process is taken to be lost about once a minute: on an undisturbed machine that costs less
// than kMostShare of the time, on a disturbed one it saves most of the work.
constexpr double kPriorSeconds = 60;
constexpr double kMostShare = 0.015;  // of the time, for checkpoints, where losses are no more frequent than that
// A guess until the first one was timed: what checksum, write and sync take.
constexpr double kGuessedSeconds = 0.005, kGuessedBytesPerSecond = 300e6;
constexpr double kNewest = 0.3;  // weight of the newest cost in the mean

}  // namespace

CheckpointInterval::CheckpointInterval(double most, double bytes, int64_t lost)
    : most_(most), cost_(kGuessedSeconds + bytes / kGuessedBytesPerSecond), lost_(lost) {}

double CheckpointInterval::seconds(double trained) const {
  const double between = (kPriorSeconds + std::max(trained, 0.0)) / static_cast<double>(1 + lost_);
  const double wanted = std::sqrt(2 * cost_ * between);
  const double share = kMostShare * std::max(1.0, std::sqrt(kPriorSeconds / between));
  return std::min(most_, std::max(wanted, cost_ / share));
}

void CheckpointInterval::observe(double cost) {
  cost_ = timed_ ? (1 - kNewest) * cost_ + kNewest * cost : cost;
  timed_ = true;
}

}  // namespace flywheel::train
