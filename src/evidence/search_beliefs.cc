// What the search policy believes of the effects of proposals (search_policy.h): for choosing only, a test never sees
// it.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/search_policy.h"

namespace flywheel::evidence {
namespace {

constexpr double kAstray = 2;
constexpr double kTransferWeight =
    9;  // weight of the prior that effects do not shrink: that of a proposal screened at 3 noise floors
constexpr double kLeastTransfer = 0.1;
// By which effects of two scales differ besides, where they are kScreenBelow apart: noise floors, and as a share of the
// effect.
constexpr double kRungSd = 0.5, kRungShare = 0.5;

// Robust mean of the differences: those far from the median are pulled in, so that one outlier does not decide what is
// screened.
double steady_mean(std::span<const double> values, double sd) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  const double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
  double sum = 0;
  for (const double x : sorted) sum += std::clamp(x, median - kAstray * sd, median + kAstray * sd);
  return sum / static_cast<double>(n);
}

// In units of the noise of the base it was screened against; an earlier base may have been much noisier.
double screened_mean(const Standing& p) {
  return steady_mean(p.screened, p.screen_noise_sd) / p.screen_noise_sd;
}

// 1 from kScreenBelow on; costs are proportional to FLOPs.
double scales_apart(double cost, double other_cost) {
  return std::min(1.0, std::abs(std::log(cost / other_cost)) / std::log(kScreenBelow));
}

}  // namespace

// Of the mean of some differences, in units of noise_sd squared. The base's mean is the same in all of them.
double SearchPolicy::screen_variance(double screens) const {
  return 1 / screens + 1.0 / options_.base_runs;
}

EffectPosterior SearchPolicy::from_screening(const Standing& p, std::optional<size_t> only) const {
  if (p.screened.empty()) return prior_.prior();
  EffectPosterior there = prior_.posterior({screened_mean(p), screen_variance(static_cast<double>(p.screened.size()))});
  double distance = 0;
  for (size_t rung = 0; rung < rungs(); ++rung) {
    const double here = scales_apart(options_.screen_cost, options_.run_costs[rung]);
    if (!only) distance += here / static_cast<double>(rungs());
    if (only == rung) distance = here;
  }
  const double left = std::pow(transfer_, distance);
  for (size_t k = 1; k < kEffectParts; ++k) {
    there.mean[k] *= left;
    there.sd[k] = std::sqrt(std::pow(left * there.sd[k], 2) + std::pow(distance * kRungSd, 2) +
                            std::pow(distance * kRungShare * there.mean[k], 2));
  }
  return there;
}

EffectPosterior SearchPolicy::belief(const Standing& p, size_t rung) const {
  EffectPosterior here = from_screening(p, rung);
  if (!p.confirmed) return here;
  if (p.confirmed->rungs()[rung].runs() > 0) {
    const Evidence own = measured(*p.confirmed, rung);
    return here.updated(own.mean, own.variance);
  }
  const double effect = here.centre();
  for (size_t other = 0; other < rungs(); ++other) {
    if (p.confirmed->rungs()[other].runs() == 0) continue;
    const Evidence there = measured(*p.confirmed, other);
    const double apart = scales_apart(options_.run_costs[other], options_.run_costs[rung]);
    here = here.updated(there.mean,
                        there.variance + std::pow(apart * kRungSd, 2) + std::pow(apart * kRungShare * effect, 2));
  }
  return here;
}

// The posterior of a proposal's effect from all its runs, in noise_sd. Confirmation runs are included: they may decide
// when to stop, but not the outcome of the test.
const EffectPosterior& SearchPolicy::posterior(int proposal) const {
  const auto at = static_cast<size_t>(proposal);
  const Standing& p = standings_[at];
  Prospect& kept = prospects_[at];
  const int runs = p.confirmed ? p.confirmed->runs() : 0, evidence = static_cast<int>(p.screened.size()) + runs;
  if (kept.evidence == evidence && kept.prior == prior_version_) return kept.posterior;
  kept.evidence = evidence, kept.prior = prior_version_, kept.level = -1;
  if (runs > 0) {
    const Evidence own = measured(*p.confirmed);
    kept.posterior = from_screening(p).updated(own.mean, own.variance);
  } else if (!p.screened.empty()) {
    kept.posterior = prior_.posterior({screened_mean(p), screen_variance(static_cast<double>(p.screened.size()))});
  } else {
    kept.posterior = prior_.prior();
  }
  return kept.posterior;
}

void SearchPolicy::learn() {
  std::vector<Evidence> trials;
  for (const Evidence& e : options_.earlier)
    trials.push_back({e.mean / options_.relative_noise, e.variance / std::pow(options_.relative_noise, 2)});
  for (const Standing& p : standings_) {
    if (p.screened.empty()) continue;
    // Of an earlier base: in the noise floors of now.
    const double unit = p.screen_relative_noise / options_.relative_noise;
    trials.push_back({screened_mean(p) * unit, screen_variance(static_cast<double>(p.screened.size())) * unit * unit});
  }
  prior_.learn(trials);
  double both = kTransferWeight, squares = kTransferWeight;
  for (const Standing& p : standings_) {
    if (p.screened.empty() || !p.confirmed || p.confirmed->rungs().front().runs() < 2) continue;
    const double found = measured(*p.confirmed).mean;
    if (!std::isfinite(found)) continue;
    const double seen =
        prior_.posterior({screened_mean(p), screen_variance(static_cast<double>(p.screened.size()))}).centre();
    both += seen * found;
    squares += seen * seen;
  }
  transfer_ = std::clamp(both / squares, kLeastTransfer, 1.0);
  ++prior_version_;
  learnt_at_ = results_;
}

double SearchPolicy::expected_gain(int proposal) const {
  return posterior(proposal).expected_gain() * options_.noise_sd;
}

}  // namespace flywheel::evidence
