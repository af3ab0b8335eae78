#include "scaling/fit/fit_detail.h"

#include <algorithm>
#include <cmath>

namespace flywheel::scaling {
namespace {

constexpr double kReach = 100;   // times the highest compute that the frontier goes
constexpr double kPlanned = 10;  // likewise, the budget whose allocation is shown
constexpr int kSteps = 48;       // of the frontier

std::vector<FrontierRow> frontier_of(const FitResult& result) {
  const OptimumRule& rule = result.optimum;
  const double low = rule.lowest_flops, high = std::min(kReach * rule.highest_flops, rule.reach_flops);
  std::vector<FrontierRow> rows;
  for (int i = 0; i <= kSteps; ++i) {
    const double flops = low * std::pow(high / low, static_cast<double>(i) / kSteps);
    rows.push_back({flops, rule.at(result.forecaster, flops)});
  }
  return rows;
}

}  // namespace

FitDetail fit_detail(const FitResult& result) {
  FitDetail detail;
  detail.frontier = frontier_of(result);
  const double planned = std::min(kPlanned * result.optimum.highest_flops, result.optimum.reach_flops);
  if (!result.optimum.identified) return detail;
  const Allocation plan = allocate(result.optimum, result.forecaster, planned);
  detail.off = plan.off;
  detail.off_loss = plan.loss.loss;
  return detail;
}

}  // namespace flywheel::scaling
