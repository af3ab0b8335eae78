#include "evidence/paired_comparison.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace flywheel::evidence {
namespace {

constexpr size_t kScalePairs = 2;       // of each rung, for the scale
constexpr double kMostPairsToGo = 1e4;  // beyond, no budget is named

}  // namespace

PairedComparison::PairedComparison(double low_flops, double high_flops, const ComparisonOptions& options)
    : options_(options), rungs_{RungPairs{.flops = low_flops}, RungPairs{.flops = high_flops}} {}

void PairedComparison::add(size_t rung, double base_loss, double candidate_loss, const PairRatios& ratios) {
  RungPairs& pairs = rungs_.at(rung);
  pairs.base.push_back(base_loss);
  pairs.difference.push_back(candidate_loss - base_loss);
  pairs.cost = ratios.cost;
  if (ratios.time > 0) pairs.time.push_back(ratios.time);
}

void PairedComparison::add_failure(const std::string& reason) {
  why_ = reason;
  ++failed_;
}

bool PairedComparison::look() {
  if (failed_ >= options_.failures) {
    verdict_ = ComparisonVerdict::kWorse;
    why_ = "the candidate's runs fail: " + why_;
    return false;
  }
  const std::vector<double>&low = rungs_[0].difference, &high = rungs_[1].difference;
  if (fewest() < kScalePairs) return false;
  std::vector<double> sizes = {std::abs(low[0]), std::abs(high[0]), std::abs(low[1]), std::abs(high[1])};
  std::sort(sizes.begin(), sizes.end());
  test_.emplace(std::max(sizes[1], options_.least_scale * rungs_[0].base[0]));
  for (size_t i = kScalePairs; i < std::max(low.size(), high.size()); ++i)
    for (const auto* rung : {&low, &high})
      if (i < rung->size()) test_->add((*rung)[i]);
  if (fewest() < static_cast<size_t>(options_.fewest_on_a_rung)) return false;
  if (test_->log_e_better() >= std::log(evidence_needed())) verdict_ = ComparisonVerdict::kBetter;
  if (test_->log_e_worse() >= std::log(evidence_needed())) verdict_ = ComparisonVerdict::kWorse;
  return true;
}

Interval PairedComparison::difference(double level) const {
  return test_ ? test_->interval(1 - level) : Interval{0, -INFINITY, INFINITY};
}

std::optional<double> PairedComparison::more_budget() const {
  if (decided() || !test_ || test_->pairs() == 0) return std::nullopt;
  const double log_e = std::max(test_->log_e_better(), test_->log_e_worse()), rate = log_e / test_->pairs();
  const double needed = rate > 0 ? (std::log(evidence_needed()) - log_e) / rate : INFINITY;
  if (!std::isfinite(needed) || needed >= kMostPairsToGo) return std::nullopt;
  return 1 + needed / test_->pairs();
}

}  // namespace flywheel::evidence
