#include "scaling/fit/fit_detail.h"

#include <algorithm>
#include <cmath>

#include "scaling/laws/form.h"

namespace flywheel::scaling {
namespace {

constexpr double kReach = 100;   // times the highest compute that the frontier goes
constexpr double kPlanned = 10;  // likewise, the budget whose allocation is shown
constexpr int kSteps = 48;       // of the frontier

std::vector<FrontierRow> frontier_of(const FitResult& result) {
  double low = INFINITY;
  for (const Point& p : result.input.points) low = std::min(low, flops_of(p));
  const double high = kReach * result.forecaster.highest_flops();
  std::vector<FrontierRow> rows;
  for (int i = 0; i <= kSteps; ++i) {
    const double flops = low * std::pow(high / low, static_cast<double>(i) / kSteps);
    rows.push_back({flops, result.forecaster.compute_optimal(flops)});
  }
  return rows;
}

}  // namespace

FitDetail fit_detail(const FitResult& result) {
  FitDetail detail;
  detail.frontier = frontier_of(result);
  detail.knows_sizes = find_form(result.first().law.form)->sees != Form::Sees::kCompute;
  if (!detail.knows_sizes) return detail;
  detail.approaches = all_approaches(result.input.points, result.first());
  if (!result.first().identified) return detail;
  const Allocation plan = allocate(result.first(), kPlanned * result.forecaster.highest_flops(),
                                   [&](double N, double D) { return result.forecaster.predict(N, D); });
  detail.off = plan.off;
  detail.off_loss = plan.loss.loss;
  return detail;
}

}  // namespace flywheel::scaling
