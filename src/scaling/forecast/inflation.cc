#include "scaling/forecast/inflation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "scaling/forecast/backtest.h"

namespace flywheel::scaling {
namespace {

constexpr double kStep = 0.01;  // of the log factor, over which its posterior is summed
constexpr int kSteps = 250;     // either way of 0
constexpr double kNoFactor = 0.005;

// Share of each of two neighbouring distances at this one: `lower` and `share` of the one after it.
struct Place {
  size_t lower;
  double share;
};

Place place_of(double decades) {
  const auto& at = ErrorInflation::kDecades;
  if (!(decades > at.front())) return {0, 0};
  if (decades >= at.back()) return {at.size() - 2, 1};
  const size_t upper = static_cast<size_t>(std::upper_bound(at.begin(), at.end(), decades) - at.begin());
  return {upper - 1, (decades - at[upper - 1]) / (at[upper] - at[upper - 1])};
}

}  // namespace

ErrorInflation::ErrorInflation(const std::vector<BacktestRow>& rows, const Beliefs& beliefs) {
  struct Origin {
    double share = 0;
    std::array<double, kDecades.size()> squares{}, counts{};
  };
  std::map<double, Origin> origins;
  for (const BacktestRow& row : rows) {
    if (!(row.mean_square >= 0)) continue;
    Origin& origin = origins[row.train_below_flops];
    origin.share = row.share;
    const Place place = place_of(row.decades);
    for (const auto& [at, share] : {std::pair{place.lower, 1 - place.share}, {place.lower + 1, place.share}})
      origin.squares[at] += share * row.mean_square / (beliefs.part_error * beliefs.part_error),
          origin.counts[at] += share;
  }
  double before = 0;
  for (size_t i = 0; i < factors_.size(); ++i) {
    const auto log_posterior = [&](double ln_factor) {
      const double apart = (ln_factor - before) / (i == 0 ? kLogSd : kChangeLogSd);
      double sum = -0.5 * apart * apart;
      for (const auto& [flops, origin] : origins) {
        if (origin.counts[i] == 0) continue;
        const double square = origin.squares[i] / origin.counts[i] * std::exp(-2 * ln_factor);
        const double weight = std::min(1.0, origin.counts[i]) * origin.share * origin.share;
        sum -= weight * (ln_factor + 0.5 * (kTail + 1) * std::log1p(square / kTail));
      }
      return sum;
    };
    std::array<double, 2 * kSteps + 1> logs;
    for (int step = -kSteps; step <= kSteps; ++step)
      logs[static_cast<size_t>(step + kSteps)] = log_posterior(kStep * step);
    const double most = *std::max_element(logs.begin(), logs.end());
    double total = 0, sum = 0;
    for (int step = -kSteps; step <= kSteps; ++step) {
      const double weight = std::exp(logs[static_cast<size_t>(step + kSteps)] - most);
      total += weight, sum += weight * kStep * step;
    }
    before = sum / total;
    factors_[i] = std::exp(before);
  }
}

double ErrorInflation::at_decades(double decades) const {
  const Place place = place_of(decades);
  return (1 - place.share) * factors_[place.lower] + place.share * factors_[place.lower + 1];
}

double ErrorInflation::at_multiple(double flops_ratio) const {
  return at_decades(std::log10(flops_ratio));
}

bool ErrorInflation::is_one() const {
  return std::all_of(factors_.begin(), factors_.end(), [](double factor) { return std::abs(factor - 1) < kNoFactor; });
}

}  // namespace flywheel::scaling
