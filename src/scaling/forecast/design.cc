#include "scaling/forecast/design.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace flywheel::scaling {
namespace {

constexpr double kLeastGain = 1e-9;  // of ln variance; below, rounding

// After an observation of site `at` with noise variance `noise`, in place.
void condition(std::vector<double>& covariance, size_t size, size_t at, double noise) {
  const double total = covariance[at * size + at] + noise;
  if (!(total > 0)) return;
  std::vector<double> column(size);
  for (size_t i = 0; i < size; ++i) column[i] = covariance[i * size + at];
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j < size; ++j) covariance[i * size + j] -= column[i] * column[j] / total;
}

}  // namespace

Design::Design(std::vector<double> covariance, std::vector<double> costs, std::vector<double> noise_sd)
    : costs_(std::move(costs)), size_(costs_.size() + 1), covariance_(std::move(covariance)) {
  CHECK(covariance_.size() == size_ * size_);
  CHECK(noise_sd.size() == costs_.size());
  for (const double sd : noise_sd) noise_.push_back(sd * sd);
}

double Design::target_sd() const {
  return std::sqrt(std::max(0.0, covariance_.back()));
}

void Design::add(size_t candidate) {
  CHECK(candidate < costs_.size());
  condition(covariance_, size_, candidate, noise_[candidate]);
}

size_t Design::best(double flops, const std::function<bool(size_t)>& may) const {
  size_t best = costs_.size();
  double most = 0;
  const double now = covariance_.back();
  for (size_t c = 0; c < costs_.size(); ++c) {
    if (costs_[c] > flops || (may && !may(c))) continue;
    const double cross = covariance_[c * size_ + size_ - 1];
    const double share = cross * cross / ((covariance_[c * size_ + c] + noise_[c]) * now);
    const double gain = -std::log1p(-std::min(share, 1 - 1e-12));
    if (gain > kLeastGain && gain / costs_[c] > most) most = gain / costs_[c], best = c;
  }
  return best;
}

}  // namespace flywheel::scaling
