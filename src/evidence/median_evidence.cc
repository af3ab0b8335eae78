#include "evidence/median_evidence.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

struct MedianBet {
  double share, stake, reach;
};
// Each stake is near the best one for some number of pairs: 10, 20, 60, 250, 1,000 and 4,000 of them.
constexpr MedianBet kMedianBets[] = {{0.35, 0.97, 1.5}, {0.3, 0.7, 1.2}, {0.15, 0.4, 1},
                                     {0.1, 0.2, 1},     {0.06, 0.1, 1},  {0.04, 0.05, 1}};
constexpr size_t kScalePairs = 2;  // without them the sign of a difference is all that counts
constexpr double kFarPairs = 1e7;  // beyond, a number of pairs is infinite
constexpr int kEndHalvings = 50;
constexpr double kFarScales = 1e3;  // of an end of the interval beyond all differences

double log_sum(const std::array<double, std::size(kMedianBets)>& logs) {
  const double most = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - most);
  return most + std::log(sum);
}

// Between the two middle ones; where one of these is infinite, the other.
double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double low = values[(values.size() - 1) / 2], high = values[values.size() / 2];
  if (std::isfinite(low) && std::isfinite(high)) return 0.5 * (low + high);
  return std::isfinite(high) ? high : low;
}

double spread_of(std::span<const double> values) {
  const double middle = middle_of({values.begin(), values.end()});
  if (!std::isfinite(middle)) return 0;
  std::vector<double> residuals;
  for (const double value : values) residuals.push_back(value - middle);
  const double spread = robust_sd(std::move(residuals));
  return std::isfinite(spread) ? spread : 0;
}

}  // namespace

void MedianTest::add(double difference, double least_scale) {
  static_assert(std::size(kMedianBets) == kBets);
  CHECK(!std::isnan(difference) && least_scale > 0 && std::isfinite(least_scale));
  least_scale_ = least_scale;
  scales_.push_back(differences_.size() < kScalePairs ? least_scale : std::max(least_scale, spread_of(differences_)));
  differences_.push_back(difference);
}

std::array<double, MedianTest::kBets> MedianTest::log_wealth(double value, double sign) const {
  std::array<double, kBets> logs{};
  for (size_t k = 0; k < kBets; ++k) {
    const MedianBet& bet = kMedianBets[k];
    logs[k] = std::log(bet.share);
    for (size_t i = 0; i < differences_.size(); ++i)
      logs[k] += std::log1p(-bet.stake * std::tanh(bet.reach * sign * (differences_[i] - value) / scales_[i]));
  }
  return logs;
}

double MedianTest::log_e(double value, double sign) const {
  return log_sum(log_wealth(value, sign));
}
double MedianTest::log_e_below(double value) const {
  return log_e(value, 1);
}
double MedianTest::log_e_above(double value) const {
  return log_e(value, -1);
}

double MedianTest::median() const {
  return differences_.empty() ? std::numeric_limits<double>::quiet_NaN() : middle_of(differences_);
}
double MedianTest::spread() const {
  return differences_.empty() ? 0 : spread_of(differences_);
}

// Each end is where a one-sided test at alpha / 2 turns, since the wealth is monotone in the value.
Interval MedianTest::interval(double alpha) const {
  Interval result{median(), -INFINITY, INFINITY};
  double lowest = INFINITY, highest = -INFINITY;
  for (const double difference : differences_) {
    if (!std::isfinite(difference)) continue;
    lowest = std::min(lowest, difference), highest = std::max(highest, difference);
  }
  if (!std::isfinite(lowest)) return result;
  const double wanted = std::log(2 / alpha);
  const double far = kFarScales * *std::max_element(scales_.begin(), scales_.end());
  const auto turn = [&](double inside, double outside, double sign) {
    if (log_e(outside, sign) < wanted) return sign * INFINITY;
    for (int i = 0; i < kEndHalvings; ++i) {
      const double middle = 0.5 * (inside + outside);
      (log_e(middle, sign) >= wanted ? outside : inside) = middle;
    }
    return outside;
  };
  result.high = turn(lowest - far, highest + far, 1);
  result.low = turn(highest + far, lowest - far, -1);
  return result;
}

// The logarithm of each bet's wealth grows by the same amount with each pair; that of their sum is convex, so it passes
// what is needed once.
double MedianTest::pairs_to(double value, double sign, double centre, double log_needed) const {
  CHECK(!differences_.empty());
  const std::array<double, kBets> now = log_wealth(value, sign);
  if (log_sum(now) >= log_needed) return 0;
  const double middle = median(), scale = std::max(least_scale_, spread());
  std::array<double, kBets> growth{};
  for (size_t k = 0; k < kBets; ++k) {
    for (const double difference : differences_) {
      const double about = std::isfinite(middle) ? difference - middle : 0;
      growth[k] +=
          std::log1p(-kMedianBets[k].stake * std::tanh(kMedianBets[k].reach * sign * (centre + about - value) / scale));
    }
    growth[k] /= static_cast<double>(differences_.size());
  }
  const auto after = [&](double pairs) {
    std::array<double, kBets> logs = now;
    for (size_t k = 0; k < kBets; ++k) logs[k] += pairs * growth[k];
    return log_sum(logs);
  };
  double few = 0, many = 1;
  while (after(many) < log_needed) {
    few = many, many *= 2;
    if (many > kFarPairs) return INFINITY;
  }
  while (many - few > 0.5) {
    const double between = 0.5 * (few + many);
    (after(between) < log_needed ? few : many) = between;
  }
  return std::ceil(many);
}
double MedianTest::pairs_to_below(double value, double centre, double log_needed) const {
  return pairs_to(value, 1, centre, log_needed);
}
double MedianTest::pairs_to_above(double value, double centre, double log_needed) const {
  return pairs_to(value, -1, centre, log_needed);
}

}  // namespace flywheel::evidence
