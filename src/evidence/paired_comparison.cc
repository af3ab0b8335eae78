#include "evidence/paired_comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/document_sums.h"
#include "evidence/rank_evidence.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kFewestForecast = 2;  // pairs of a rung, for their spread
constexpr int kUsualPairs = 24;        // of a comparison, where too few were run to say what it takes
constexpr int kEffectPoints = 9;       // of what a rung's effect may be
// Of the test of failures: how much of its wealth is bet, and the share of these bets.
struct FailureBet {
  double share, stake;
};
constexpr FailureBet kFailureBets[] = {{0.9, 0.97}, {0.1, 0.5}};

double log_e_fails_more(int alone, int other_alone) {
  double wealth = 0;
  for (const FailureBet& bet : kFailureBets)
    wealth += bet.share * std::pow(1 + bet.stake, alone) * std::pow(1 - bet.stake, other_alone);
  return std::log(wealth);
}

int ruined_among(const std::vector<double>& losses) {
  if (losses.size() < 2) return 0;
  const double middle = median(losses);
  std::vector<double> residuals;
  for (const double loss : losses) residuals.push_back(loss - middle);
  const double sd = robust_sd(std::move(residuals));
  if (!(sd > 0)) return 0;
  return static_cast<int>(
      std::count_if(losses.begin(), losses.end(), [&](double loss) { return loss > middle + kRuinedSds * sd; }));
}

// What a rung's effect may be, as equally likely points: a flat prior, Student's t.
std::vector<double> likely_effects(const MedianTest& test) {
  const auto n = static_cast<double>(test.pairs());
  std::vector<double> points;
  for (int i = 0; i < kEffectPoints; ++i)
    points.push_back(test.median() + test.spread() / std::sqrt(n) * student_quantile((i + 0.5) / kEffectPoints, n - 1));
  return points;
}

}  // namespace

PairedComparison::PairedComparison(double low_flops, double high_flops, const ComparisonOptions& options)
    : options_(options),
      rungs_{RungPairs{.flops = low_flops}, RungPairs{.flops = high_flops}},
      least_scale_(std::numeric_limits<double>::min()) {}

void PairedComparison::add_to_tests(size_t rung, double difference) {
  tests_.at(rung).add(difference, least_scale_);
  all_.add(difference, least_scale_);
}

void PairedComparison::add(size_t rung, double base_loss, double candidate_loss, const PairRatios& ratios) {
  RungPairs& pairs = rungs_.at(rung);
  ++pairs_;
  add_to_tests(rung, candidate_loss - base_loss);
  // For the pairs after this one.
  if (rungs_[0].base.empty() && rungs_[1].base.empty())
    least_scale_ = std::max(options_.least_scale * std::abs(base_loss), least_scale_);
  pairs.base.push_back(base_loss);
  pairs.difference.push_back(candidate_loss - base_loss);
  pairs.cost = ratios.cost;
  if (ratios.time > 0) pairs.time.push_back(ratios.time);
}

void PairedComparison::add_failure(size_t rung, Failed failed, const std::string& reason) {
  why_ = reason;
  ++pairs_;
  failed_.base += failed != Failed::kCandidate;
  failed_.candidate += failed != Failed::kBase;
  if (failed == Failed::kBoth) return;
  const bool base = failed == Failed::kBase;
  ++(base ? failed_alone_.base : failed_alone_.candidate);
  add_to_tests(rung, base ? -INFINITY : INFINITY);
}

SideCounts PairedComparison::ruined() const {
  SideCounts counts;
  for (const RungPairs& rung : rungs_) {
    std::vector<double> candidate = rung.base;
    for (size_t i = 0; i < candidate.size(); ++i) candidate[i] += rung.difference[i];
    counts.base += ruined_among(rung.base);
    counts.candidate += ruined_among(candidate);
  }
  return counts;
}

bool PairedComparison::decide_by_failures() {
  const double needed = std::log(2 / options_.alpha_failures);
  const auto [base, candidate] = failed_alone_;
  if (log_e_fails_more(candidate, base) >= needed) {
    verdict_ = ComparisonVerdict::kWorse;
    why_ = "the candidate's runs fail: " + why_;
  } else if (log_e_fails_more(base, candidate) >= needed) {
    verdict_ = ComparisonVerdict::kBetter;
    why_ = "the base's runs fail: " + why_;
  }
  return decided();
}

bool PairedComparison::look(const Sampling& sampling) {
  if (decided() || decide_by_failures()) return tested();
  if (!tested()) return false;
  const double needed = std::log(evidence_needed());
  if (log_e_better() >= needed)
    verdict_ = ComparisonVerdict::kBetter;
  else if (log_e_worse() >= needed)
    verdict_ = ComparisonVerdict::kWorse;
  else if (may_be_equivalent() && equivalent_by_seeds() && bound(sampling).worth <= options_.smallest_effect)
    verdict_ = ComparisonVerdict::kNoDifference;
  return true;
}

double PairedComparison::evidence_needed() const {
  return 2 / (options_.alpha - options_.alpha_failures);
}
double PairedComparison::log_e_better() const {
  return std::min(tests_[0].log_e_below(0), tests_[1].log_e_below(0));
}
double PairedComparison::log_e_worse() const {
  return std::min(tests_[0].log_e_above(0), tests_[1].log_e_above(0));
}
double PairedComparison::log_bound_needed() const {
  return std::log(2 / options_.alpha);
}

Interval PairedComparison::difference(double level) const {
  return all_.interval(1 - level);
}

PairedComparison::Region PairedComparison::region() const {
  Region region;
  const Slope slope = common_slope(rungs_[0], rungs_[1]);
  region.slope = slope.value + kNormal90 * slope.sd;
  region.usual_slope = std::min(rungs_[0].base.size(), rungs_[1].base.size()) < 2 || !(region.slope < 0);
  if (region.usual_slope) region.slope = kUsualSlope;
  for (size_t r = 0; r < rungs_.size(); ++r) {
    if (rungs_[r].base.empty()) continue;
    region.loss[r] = mean(rungs_[r].base) + 0.5 * mean(rungs_[r].difference);
    region.half_width[r] = region.loss[r] * -std::expm1(region.slope * std::log1p(options_.smallest_effect));
  }
  return region;
}

bool PairedComparison::may_be_equivalent() const {
  return failed_alone_.base == failed_alone_.candidate;
}

bool PairedComparison::equivalent_by_seeds() const {
  const Region region = this->region();
  for (size_t r = 0; r < tests_.size(); ++r)
    if (tests_[r].log_e_below(region.half_width[r]) < log_bound_needed() ||
        tests_[r].log_e_above(-region.half_width[r]) < log_bound_needed())
      return false;
  return true;
}

PairedComparison::Bound PairedComparison::bound(const Sampling& sampling) const {
  Bound bound{0, 0};
  const Region region = this->region();
  bound.usual_slope = region.usual_slope;
  for (size_t r = 0; r < tests_.size(); ++r) {
    Interval interval = tests_[r].interval(options_.alpha);
    if (sampling)
      if (const auto error = sampling(r); error && std::isfinite(error->half_width(level())))
        interval = widened(interval, error, level());
    const double own = std::max(std::abs(interval.low), std::abs(interval.high));
    if (!std::isfinite(own) || !(region.loss[r] > 0)) return {.usual_slope = region.usual_slope};
    const double share = own / region.loss[r];
    bound.bits_per_byte = std::max(bound.bits_per_byte, own);
    bound.worth = std::max(bound.worth, share < 1 ? std::expm1(std::log1p(-share) / region.slope) : double{INFINITY});
  }
  return bound;
}

PairedComparison::MoreBudget PairedComparison::more_budget() const {
  CHECK(pairs_ > 0);
  if (std::min(tests_[0].pairs(), tests_[1].pairs()) < static_cast<int>(kFewestForecast))
    return {std::max(2.0, static_cast<double>(kUsualPairs) / pairs_), ComparisonVerdict::kUndecided};
  constexpr ComparisonVerdict kEnds[] = {ComparisonVerdict::kBetter, ComparisonVerdict::kWorse,
                                         ComparisonVerdict::kNoDifference};
  const Region region = this->region();
  const double needed = std::log(evidence_needed()), bound = log_bound_needed();
  // Pairs to go on each rung, by its effect and by the end.
  std::array<std::vector<std::array<double, std::size(kEnds)>>, 2> to_go;
  for (size_t r = 0; r < tests_.size(); ++r)
    for (const double effect : likely_effects(tests_[r])) {
      const double edge = region.half_width[r];
      const double equivalent = may_be_equivalent() ? std::max(tests_[r].pairs_to_below(edge, effect, bound),
                                                               tests_[r].pairs_to_above(-edge, effect, bound))
                                                    : double{INFINITY};
      to_go[r].push_back(
          {tests_[r].pairs_to_below(0, effect, needed), tests_[r].pairs_to_above(0, effect, needed), equivalent});
    }
  std::vector<double> times;
  std::array<int, std::size(kEnds)> ends{};
  for (const auto& low : to_go[0])
    for (const auto& high : to_go[1]) {
      double fewest = INFINITY;
      size_t first = 0;
      for (size_t end = 0; end < std::size(kEnds); ++end)
        if (const double both = std::max(low[end], high[end]); both < fewest) fewest = both, first = end;
      if (std::isfinite(fewest)) ++ends[first];
      // At least one more pair: it is undecided now.
      times.push_back(std::min(1 + 2 * std::max(fewest, 0.5) / pairs_, kMostTimes));
    }
  MoreBudget more{median(std::move(times))};
  if (more.times < kMostTimes) more.expected = kEnds[std::max_element(ends.begin(), ends.end()) - ends.begin()];
  return more;
}

}  // namespace flywheel::evidence
