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
  if (fewest() < kScalePairs) return false;
  double sizes = 0;
  for (size_t rung = 0; rung < tests_.size(); ++rung) {
    const std::vector<double>& own = rungs_[rung].difference;
    const double size = 0.5 * (std::abs(own[0]) + std::abs(own[1]));
    tests_[rung].emplace(std::max(size, options_.least_scale * rungs_[rung].base[0]));
    for (size_t i = kScalePairs; i < own.size(); ++i) tests_[rung]->add(own[i]);
    sizes += size;
  }
  all_.emplace(std::max(0.5 * sizes, options_.least_scale * rungs_[0].base[0]));
  for (const auto& rung : tests_)
    for (const double difference : rung->differences()) all_->add(difference);
  if (fewest() < static_cast<size_t>(options_.fewest_on_a_rung)) return false;
  if (log_e_better() >= std::log(evidence_needed())) verdict_ = ComparisonVerdict::kBetter;
  if (log_e_worse() >= std::log(evidence_needed())) verdict_ = ComparisonVerdict::kWorse;
  return true;
}

int PairedComparison::tested_pairs() const {
  return tested() ? tests_[0]->pairs() + tests_[1]->pairs() : 0;
}
double PairedComparison::log_e_better() const {
  return std::min(tests_[0]->log_e_better(), tests_[1]->log_e_better());
}
double PairedComparison::log_e_worse() const {
  return std::min(tests_[0]->log_e_worse(), tests_[1]->log_e_worse());
}

Interval PairedComparison::difference(double level) const {
  return all_ ? all_->interval(1 - level) : Interval{0, -INFINITY, INFINITY};
}

std::optional<double> PairedComparison::more_budget() const {
  if (decided() || tested_pairs() == 0) return std::nullopt;
  const double log_e = std::max(log_e_better(), log_e_worse()), rate = log_e / tested_pairs();
  const double needed = rate > 0 ? (std::log(evidence_needed()) - log_e) / rate : INFINITY;
  if (!std::isfinite(needed) || needed >= kMostPairsToGo) return std::nullopt;
  return 1 + needed / tested_pairs();
}

}  // namespace flywheel::evidence
