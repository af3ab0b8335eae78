#include "scaling/forecast/inflation.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "scaling/forecast/backtest.h"

namespace flywheel::scaling {
namespace {

constexpr double kLargestSquare = 100;  // of an error in standard deviations, so that one row does not decide

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

ErrorInflation::ErrorInflation(const std::vector<BacktestRow>& rows) {
  std::array<double, kDecades.size()> squares{}, counts{};
  for (const BacktestRow& row : rows) {
    const double sd = std::log(row.high / row.low) / (2 * kNormal90);
    if (!(sd > 0) || !(row.measured > 0)) continue;
    const double z = std::log(row.measured / row.predicted) / sd, square = std::min(z * z, kLargestSquare);
    const Place place = place_of(row.decades);
    squares[place.lower] += (1 - place.share) * square, counts[place.lower] += 1 - place.share;
    squares[place.lower + 1] += place.share * square, counts[place.lower + 1] += place.share;
  }
  double before = 1;
  for (size_t i = 0; i < factors_.size(); ++i) {
    const double variance = (kPriorRows * before * before + squares[i]) / (kPriorRows + counts[i]);
    before = factors_[i] = std::max(1.0, std::sqrt(variance));
  }
}

double ErrorInflation::at_decades(double decades) const {
  const Place place = place_of(decades);
  return (1 - place.share) * factors_[place.lower] + place.share * factors_[place.lower + 1];
}

double ErrorInflation::at_multiple(double flops_ratio) const {
  return at_decades(std::log10(flops_ratio));
}

double ErrorInflation::largest() const {
  return *std::max_element(factors_.begin(), factors_.end());
}

}  // namespace flywheel::scaling
