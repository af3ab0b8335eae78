#include "scaling/fit/plan.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/forecast/backtest.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kFewestRuns = 3;
constexpr size_t kServedResamples = 100;  // of the sizes to serve

// `again`: the size by the law of a resample; 0: none.
template <typename Again>
std::optional<ServedSize> served_size(const Fit& fit, const Served& served, const Again& again) {
  if (served.N == 0) return std::nullopt;
  std::vector<double> sizes;
  for (size_t r = 0; r < std::min(kServedResamples, fit.resamples.size()); ++r) {
    const double N = again(loss_of(fit.resamples[r]));
    if (N > 0) sizes.push_back(N);
  }
  ServedSize size{served, {served.N, served.N, served.N}};
  if (!sizes.empty())
    size.N = {served.N, std::min(served.N, quantile(sizes, 0.05)), std::max(served.N, quantile(sizes, 0.95))};
  return size;
}

ServedPlan served_plan(const Fit& fit, const Allocation& plan, double tokens) {
  const auto per_token = [&](double N) { return fit.flops_rule.per_token(N); };
  const Loss loss = loss_of(fit.law);
  // Each resample's own loss at the planned size, so that the interval is that of the trade and not of the loss.
  const Served cheapest = cheapest_at_loss(loss, per_token, loss(plan.N.value, plan.D.value), tokens);
  ServedPlan served;
  served.tokens = tokens;
  served.same_loss = served_size(fit, cheapest, [&](const Loss& law) {
    return cheapest_at_loss(law, per_token, law(plan.N.value, plan.D.value), tokens).N;
  });
  served.same_total = served_size(fit, best_at_total(loss, per_token, plan.flops, tokens),
                                  [&](const Loss& law) { return best_at_total(law, per_token, plan.flops, tokens).N; });
  const double plain = plan.flops + per_token(plan.N.value) * tokens / 3;
  if (cheapest.N > 0) served.saving = 1 - cheapest.flops() / plain;
  return served;
}

std::vector<std::string> notes_of(const Plan& plan, const PlanRuns& runs, const PlanRequest& request) {
  std::vector<std::string> notes;
  const double decades = std::log10(plan.allocation.flops / runs.highest_flops);
  if (decades > 2)
    notes.push_back(fmt::format(
        "the budget is {:.1f} decades above the largest run; nothing here has been tested that far, so take the "
        "interval for a lower bound of what is not known",
        decades));
  if (request.flops_per_second <= 0) notes.push_back("no rate given: for the time, --flops-per-second 4e14 --gpus 64");
  if (!plan.served || !plan.served->same_loss) return notes;
  const ServedSize& size = *plan.served->same_loss;
  const double ratio = size.served.D / size.N.value;
  if (ratio > runs.highest_ratio)
    notes.push_back(fmt::format(
        "the model to serve trains on {:.0f} tokens a parameter, the runs on at most {:.0f}; laws fitted to short "
        "runs promise too much of longer ones (Sardana et al. 2023)",
        ratio, runs.highest_ratio));
  return notes;
}

Plan plan_for(double flops, const PlanRuns& runs, const PlanRequest& request, const PlanResult& by) {
  Plan plan;
  plan.allocation = allocate(by.fit, flops, [&](double N, double D) { return by.forecaster.predict(N, D); });
  for (const Approach& approach : by.approaches)
    if (approach.missing.empty()) plan.by_approach.emplace_back(approach.name, approach.size_at(flops));
  if (!runs.sweep.empty()) {
    const double N = plan.allocation.N.value, D = plan.allocation.D.value;
    if (by.rates.learning_rate.missing.empty()) plan.learning_rate = by.rates.learning_rate.at(N, D);
    if (by.rates.batch.missing.empty()) plan.batch = by.rates.batch.at(N, D);
  }
  if (request.flops_per_second > 0) {
    plan.seconds = flops / (request.flops_per_second * request.devices);
    plan.device_hours = flops / request.flops_per_second / 3600;
  }
  if (request.served_tokens > 0) plan.served = served_plan(by.fit, plan.allocation, request.served_tokens);
  plan.notes = notes_of(plan, runs, request);
  return plan;
}

}  // namespace

PlanRuns plan_runs(std::string name, std::vector<Point> points, std::vector<SweepRun> sweep) {
  PlanRuns runs{std::move(name), std::move(points), std::move(sweep)};
  if (runs.points.size() < kFewestRuns)
    throw_bad_input("{}: {} finished runs of different size or length, expected at least {} to plan from", runs.name,
                    runs.points.size(), kFewestRuns);
  runs.lowest_flops = INFINITY;
  for (const Point& p : runs.points) {
    runs.lowest_flops = std::min(runs.lowest_flops, flops_of(p));
    runs.highest_flops = std::max(runs.highest_flops, flops_of(p));
    runs.highest_ratio = std::max(runs.highest_ratio, p.D / p.N);
  }
  return runs;
}

PlanResult make_plans(const PlanRuns& runs, const PlanRequest& request) {
  for (const double flops : request.budgets)
    if (flops < runs.lowest_flops)
      throw_bad_input(
          "a budget of {:.3g} FLOPs lies below the data: the smallest run of {} took {:.3g}; give at least that", flops,
          runs.name, runs.lowest_flops);
  PlanResult result{.fit = {}, .forecaster = Forecaster(runs.points), .approaches = {}, .rates = {}, .plans = {}};
  result.forecaster.error_inflation = inflation_from_backtest(backtest(runs.points, 3));
  FitOptions published = published_options();
  published.form = request.form;
  published.bootstrap = request.bootstrap;
  published.seed = request.seed;
  published.threads = request.threads;
  result.fit = fit(runs.points, published);
  result.approaches = all_approaches(runs.points, result.fit);
  result.rates = fit_rate_rules(runs.sweep, request.bootstrap, request.seed);
  for (const double flops : request.budgets) result.plans.push_back(plan_for(flops, runs, request, result));
  return result;
}

}  // namespace flywheel::scaling
