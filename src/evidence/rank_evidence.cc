#include "evidence/rank_evidence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/statistics.h"

namespace flywheel::evidence {
namespace {

// Gains that are bet on, in standard deviations: small ones by conformal ranks, larger ones by the order of all runs,
// with the odds of a Lehmann alternative that suits them.
constexpr double kSmallGains[] = {0.7, 1.2, 2};
struct LargeGain {
  double gain, odds;
};
constexpr LargeGain kLargeGains[] = {{2, 16}, {3, 70}, {5, 600}};
constexpr double kSpread = 0.45;     // of the logarithm of a gain about what is expected
constexpr double kEvenShare = 0.15;  // of the wealth, that is spread evenly over all bets
constexpr double kOutliers = 0.1;    // share of a candidate's runs that may be as the base's, or far above
constexpr double kReach = 2, kOutlier = 4;
constexpr int kHalvings = 40;

// Mean with values pulled in to kReach deviations from the median.
double steady_mean_of(const std::vector<double>& values, double sd) {
  const double middle = median(values);
  if (!std::isfinite(middle)) return middle;
  double sum = 0;
  for (const double x : values) sum += std::clamp(x, middle - kReach * sd, middle + kReach * sd);
  return sum / static_cast<double>(values.size());
}

// Logarithm of the bet on each rank, from the lowest, of a run among `base` runs of the base and `own` earlier ones of
// the candidate, for a gain. It falls with the rank, and its mean over ranks is 1.
std::vector<double> log_bets(size_t base, size_t own, double gain) {
  const size_t ranks = base + own + 1;
  const double share = static_cast<double>(base) / static_cast<double>(base + own);
  const auto below = [&](double x) { return share * normal_below(x) + (1 - share) * normal_below(x + gain); };
  std::vector<double> logs(ranks);
  double sum = 0, low = -9 - gain;
  for (size_t rank = 0; rank < ranks; ++rank) {
    const double wanted = (static_cast<double>(rank) + 0.5) / static_cast<double>(ranks);
    double from = low, to = 9;
    for (int step = 0; step < kHalvings; ++step) {
      const double middle = 0.5 * (from + to);
      (below(middle) < wanted ? from : to) = middle;
    }
    low = from;
    const double there = normal_density(from), shifted = normal_density(from + gain);
    const double candidate = (1 - kOutliers) * shifted + kOutliers * there;
    logs[rank] = std::log(candidate / (share * there + (1 - share) * candidate));
    sum += std::exp(logs[rank]);
  }
  for (double& log : logs) log -= std::log(sum / static_cast<double>(ranks));
  return logs;
}

// The same, kept for the life of the thread: tests of one batch ask for the same again and again.
double log_bet(size_t base, size_t own, size_t bet, size_t rank) {
  thread_local std::map<std::tuple<size_t, size_t, size_t>, std::vector<double>> kept;
  auto& logs = kept[{base, own, bet}];
  if (logs.empty()) logs = log_bets(base, own, kSmallGains[bet]);
  return logs[rank];
}

}  // namespace

RankTest::RankTest(std::vector<double> base, double expected)
    : base_(std::move(base)), sd_(std::numeric_limits<double>::min()) {
  CHECK(!base_.empty());
  static_assert(std::size(kSmallGains) == kSmall && std::size(kLargeGains) == kLarge);
  double total = 0;
  std::array<double, kBets> shares{};
  for (size_t k = 0; k < kBets; ++k) {
    const double gain = k < kSmall ? kSmallGains[k] : kLargeGains[k - kSmall].gain;
    const double far = expected > 0 ? std::log(std::clamp(expected, 0.7, 5.0) / gain) / kSpread : 0;
    total += shares[k] = std::exp(-0.5 * far * far);
  }
  for (size_t k = 0; k < kBets; ++k)
    log_wealth_[k] = std::log((1 - kEvenShare) * shares[k] / total + kEvenShare / kBets);
  centre_ = median(base_);
  std::vector<double> residuals;
  for (const double loss : base_)
    if (std::isfinite(loss) && std::isfinite(centre_)) residuals.push_back(loss - centre_);
  if (residuals.size() < 2) return;
  // Outliers are pulled in to where the others leave some doubt.
  const double far = kOutlier * robust_sd(residuals);
  if (far > 0)
    for (double& residual : residuals) residual = std::clamp(residual, -far, far);
  sd_ = std::max(standard_deviation(residuals), sd_);
}

void RankTest::add(double loss) {
  CHECK(!std::isnan(loss));
  const auto not_above = [loss](const std::vector<double>& values) {
    return static_cast<size_t>(std::count_if(values.begin(), values.end(), [loss](double x) { return x <= loss; }));
  };
  const size_t rank = not_above(base_) + not_above(losses_);
  for (size_t k = 0; k < kSmall; ++k) log_wealth_[k] += log_bet(base_.size(), losses_.size(), k, rank);
  losses_.push_back(loss);
}

// Likelihood ratio of the order of all runs, a next lowest one being any of the candidate's that are left with `odds`
// to 1 for any of the base's, against exchangeability. A product over positions from the lowest loss up.
double RankTest::log_order_ratio(double odds) const {
  std::vector<std::pair<double, bool>> order;
  for (const double loss : base_) order.emplace_back(loss, false);
  for (const double loss : losses_) order.emplace_back(loss, true);
  std::sort(order.begin(), order.end());  // the base's first among equals
  double base = static_cast<double>(base_.size()), candidate = static_cast<double>(losses_.size()), product = 1;
  double log = std::lgamma(base + candidate + 1) + candidate * std::log(odds);
  for (const auto& [loss, is_candidate] : order) {
    product *= base + odds * candidate;
    if (product > 1e200) log -= std::log(std::exchange(product, 1.0));
    is_candidate ? --candidate : --base;
  }
  return log - std::log(product);
}

double RankTest::log_e_better() const {
  std::array<double, kBets> logs = log_wealth_;
  for (size_t k = 0; k < kLarge; ++k) logs[kSmall + k] += log_order_ratio(kLargeGains[k].odds);
  const double highest = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - highest);
  return highest + std::log(sum);
}

double RankTest::difference() const {
  if (losses_.empty()) return 0;
  return steady_mean_of(losses_, sd_) - steady_mean_of(base_, sd_);
}

bool RankTest::is_ruined(double loss) const {
  return !std::isfinite(loss) || loss > centre_ + kRuinedSds * sd_;
}
int RankTest::ruined() const {
  return static_cast<int>(std::count_if(losses_.begin(), losses_.end(), [&](double x) { return is_ruined(x); }));
}
int RankTest::base_ruined() const {
  return static_cast<int>(std::count_if(base_.begin(), base_.end(), [&](double x) { return is_ruined(x); }));
}

int RungTests::runs() const {
  int sum = 0;
  for (const RankTest& rung : rungs_) sum += rung.runs();
  return sum;
}
int RungTests::fewest() const {
  int least = std::numeric_limits<int>::max();
  for (const RankTest& rung : rungs_) least = std::min(least, rung.runs());
  return least;
}
double RungTests::log_e_better() const {
  double least = INFINITY;
  for (const RankTest& rung : rungs_) least = std::min(least, rung.log_e_better());
  return least;
}
int RungTests::ruined() const {
  int sum = 0;
  for (const RankTest& rung : rungs_) sum += rung.ruined();
  return sum;
}
int RungTests::base_ruined() const {
  int sum = 0;
  for (const RankTest& rung : rungs_) sum += rung.base_ruined();
  return sum;
}
int RungTests::base_runs() const {
  int sum = 0;
  for (const RankTest& rung : rungs_) sum += static_cast<int>(rung.base().size());
  return sum;
}

int far_above(const std::vector<double>& losses) {
  // By the lower quarter, since most runs may be the ones that are asked about.
  constexpr double kFar = 4.5, kLow = 0.05, kQuarter = 0.25;
  const double centre = quantile(losses, kQuarter), low = quantile(losses, kLow);
  const double sd = (centre - low) / (normal_quantile(kQuarter) - normal_quantile(kLow));
  const double far = centre + kFar * sd;
  return static_cast<int>(
      std::count_if(losses.begin(), losses.end(), [far](double x) { return !std::isfinite(x) || x > far; }));
}

bool ruins(int ruined, int runs, int base_ruined, int base_runs) {
  constexpr double kMoreOften = 2;
  if (ruined == 0) return false;
  const double base = base_runs > 0 ? static_cast<double>(base_ruined) / base_runs : 0;
  return ruined > kMoreOften * base * runs;
}

}  // namespace flywheel::evidence
