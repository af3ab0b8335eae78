#include "scaling/fit/plan.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/fit/fit_result.h"
#include "scaling/fit/judged_runs.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::scaling {
namespace {

double quantile_or(std::vector<double> values, double q, double without) {
  return values.empty() ? without : quantile(std::move(values), q);
}

std::optional<ServedSize> served_size(const Served& served, const std::vector<double>& drawn) {
  if (served.N == 0) return std::nullopt;
  return ServedSize{served,
                    {served.N, std::min(served.N, quantile_or(drawn, 0.05, served.N)),
                     std::max(served.N, quantile_or(drawn, 0.95, served.N))}};
}

// Loss surfaces drawn from the forecaster's posterior, on a grid of smaller models trained longer than the plan's.
class ServedGrid {
 public:
  ServedGrid(const Forecaster& forecaster, double N, double D) {
    for (int i = 0; i < kSizes; ++i) ln_n_.push_back(std::log(N) + kStep * (i - kSizes + 3));
    for (int i = 0; i < kLengths; ++i) ln_d_.push_back(std::log(D) + kStep * (i - 2));
    std::vector<std::pair<double, double>> sites = {{N, D}};
    for (const double n : ln_n_)
      for (const double d : ln_d_) sites.emplace_back(std::exp(n), std::exp(d));
    surfaces_ = forecaster.surfaces(sites);
  }
  // Best sizes of the surfaces: `cost` of a size, given its losses at all lengths and the planned model's loss;
  // infinite where it cannot be.
  template <typename Cost>
  std::vector<double> best_sizes(const Cost& cost) const {
    std::vector<double> sizes;
    for (const std::vector<double>& surface : surfaces_) {
      double lowest = INFINITY, best = 0;
      for (size_t i = 0; i < ln_n_.size(); ++i) {
        const std::span<const double> row(&surface[1 + i * ln_d_.size()], ln_d_.size());
        const double value = cost(std::exp(ln_n_[i]), row, surface[0]);
        if (value < lowest) lowest = value, best = std::exp(ln_n_[i]);
      }
      if (best > 0) sizes.push_back(best);
    }
    return sizes;
  }
  // Tokens at which a row of log losses falls to `wanted`; infinity: it does not.
  double tokens_for(std::span<const double> row, double wanted) const {
    for (size_t j = 0; j < row.size(); ++j) {
      if (row[j] > wanted) continue;
      if (j == 0) return std::exp(ln_d_[0]);
      return std::exp(ln_d_[j] - kStep * (wanted - row[j]) / std::max(row[j - 1] - row[j], 1e-12));
    }
    return INFINITY;
  }
  // Log loss of a row at so many tokens; infinity outside the grid.
  double loss_at(std::span<const double> row, double tokens) const {
    const double place = (std::log(tokens) - ln_d_[0]) / kStep;
    if (!(place >= 0) || place > static_cast<double>(row.size() - 1)) return INFINITY;
    const auto j = std::min(static_cast<size_t>(place), row.size() - 2);
    return row[j] + (place - static_cast<double>(j)) * (row[j + 1] - row[j]);
  }

 private:
  static constexpr int kSizes = 18, kLengths = 26;
  static constexpr double kStep = 0.35;  // in ln N and ln D
  std::vector<double> ln_n_, ln_d_;
  std::vector<std::vector<double>> surfaces_;  // the planned model, then the grid
};

ServedPlan served_plan(const Forecaster& forecaster, const Allocation& plan, double tokens) {
  const auto per_token = [&](double N) { return forecaster.flops_rule().per_token(N); };
  const Loss loss = [&](double N, double D) { return forecaster.loss(N, D); };
  const Served cheapest = cheapest_at_loss(loss, per_token, loss(plan.N.value, plan.D.value), tokens);
  const ServedGrid grid(forecaster, plan.N.value, plan.D.value);
  ServedPlan served;
  served.tokens = tokens;
  // Each surface's own loss at the planned size, so that the interval is that of the trade and not of the loss.
  served.same_loss = served_size(cheapest, grid.best_sizes([&](double N, auto row, double planned) {
    return per_token(N) * (grid.tokens_for(row, planned) + tokens / 3);
  }));
  served.same_total =
      served_size(best_at_total(loss, per_token, plan.flops, tokens), grid.best_sizes([&](double N, auto row, double) {
        return grid.loss_at(row, plan.flops / per_token(N) - tokens / 3);
      }));
  const double plain = plan.flops + per_token(plan.N.value) * tokens / 3;
  if (cheapest.N > 0) served.saving = std::max(0.0, 1 - cheapest.flops() / plain);
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
  constexpr double kWideSize = 30;
  if (plan.allocation.N.high > kWideSize * plan.allocation.N.low)
    notes.push_back(fmt::format(
        "so far beyond the runs the best size is hardly known: runs at {:.2g} to {:.2g} FLOPs would tell more",
        runs.highest_flops, std::sqrt(runs.highest_flops * plan.allocation.flops)));
  if (request.served_tokens > 0 && !plan.allocation.identified)
    notes.push_back("no compute-optimal size is identified, so there is none to trade against serving either");
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

// None where the rule says so little that far out that a number would mislead.
std::optional<Range> rate_at(const RateRule& rule, double N, double D) {
  constexpr double kWidest = 100;
  if (!rule.missing.empty()) return std::nullopt;
  const Range rate = rule.at(N, D);
  if (!(rate.high <= kWidest * rate.low)) return std::nullopt;
  return rate;
}

Plan plan_for(double flops, const PlanRuns& runs, const PlanRequest& request, const PlanResult& by) {
  Plan plan;
  plan.allocation = allocate(by.optimum, by.forecaster, flops);
  for (const Approach& approach : by.optimum.approaches)
    if (approach.missing.empty()) plan.by_approach.emplace_back(approach.name, approach.size_at(flops));
  if (!runs.sweep.empty()) {
    const double N = plan.allocation.N.value, D = plan.allocation.D.value;
    plan.learning_rate = rate_at(by.rates.learning_rate, N, D);
    plan.batch = rate_at(by.rates.batch, N, D);
  }
  if (request.flops_per_second > 0) {
    plan.seconds = flops / (request.flops_per_second * request.devices);
    plan.device_hours = flops / request.flops_per_second / 3600;
  }
  if (request.served_tokens > 0 && by.optimum.identified)
    plan.served = served_plan(by.forecaster, plan.allocation, request.served_tokens);
  plan.notes = notes_of(plan, runs, request);
  return plan;
}

}  // namespace

PlanRuns plan_runs(std::string name, std::vector<Point> points, std::vector<SweepRun> sweep) {
  PlanRuns runs{std::move(name), std::move(points), std::move(sweep), 0, 0, 0, {}, {}};
  const auto without = [&](double SweepRun::*rate) {
    return std::count_if(runs.sweep.begin(), runs.sweep.end(), [&](const SweepRun& run) { return run.*rate == 0; });
  };
  const auto all = static_cast<std::ptrdiff_t>(runs.sweep.size());
  for (const auto& [rate, words] :
       {std::pair{&SweepRun::learning_rate, "learning rate"}, std::pair{&SweepRun::batch, "batch size"}})
    if (const auto count = without(rate); count > 0 && count < all)
      runs.notes.push_back(fmt::format(
          "{} of {} runs have a {} of 0, which is none: they are left out of the rules for rates", count, all, words));
  if (const size_t different = different_runs(runs.points); different < kFewestFitted)
    throw_bad_input("{}: {} finished runs of different size or length, expected at least {} to plan from", runs.name,
                    different, kFewestFitted);
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
  FitOptions options;
  options.bootstrap = request.bootstrap;
  options.seed = request.seed;
  options.threads = request.threads;
  const std::vector<Point> points =
      merge_alike(runs.points);  // as a fit does, so that large tables are planned from too
  JudgedRuns judged = request.form.empty() ? judge_runs(points, options) : judge_runs(points, options, {request.form});
  PlanResult result{.fit = std::move(judged.law),
                    .forecaster = std::move(judged.forecaster),
                    .optimum = std::move(judged.optimum),
                    .rates = {},
                    .notes = runs.notes,
                    .plans = {}};
  result.notes.insert(result.notes.end(), judged.notes.begin(), judged.notes.end());
  for (const double flops : request.budgets)
    if (!result.optimum.reaches(flops))
      throw_bad_input(
          "a budget of {:.3g} FLOPs lies {:.3g} times beyond the largest run of {}; these runs, of {:.3g} to {:.3g} "
          "FLOPs, carry a forecast to {:.3g}: give at most that, or runs of more compute",
          flops, flops / runs.highest_flops, runs.name, runs.lowest_flops, runs.highest_flops,
          result.optimum.reach_flops);
  result.rates = fit_rate_rules(runs.sweep, request.bootstrap, request.seed);
  for (const double flops : request.budgets) result.plans.push_back(plan_for(flops, runs, request, result));
  return result;
}

}  // namespace flywheel::scaling
