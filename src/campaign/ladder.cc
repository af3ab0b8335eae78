#include "campaign/ladder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"

namespace flywheel::campaign {
namespace {

using workload::Configuration;
using workload::SizedRun;
using workload::Workload;

// Seconds until `slots` slots have finished runs of these lengths, started longest first.
double makespan(std::vector<double> seconds, int slots) {
  std::sort(seconds.rbegin(), seconds.rend());
  std::vector<double> busy(static_cast<size_t>(std::max(slots, 1)), 0.0);
  for (double s : seconds) *std::min_element(busy.begin(), busy.end()) += s;
  return *std::max_element(busy.begin(), busy.end());
}

std::vector<double> geometric_rungs(double top, double range, int rungs) {
  std::vector<double> flops;
  // Of twelve digits, so that a rung of two plans is one rung.
  for (int i = 0; i < rungs; ++i)
    flops.push_back(
        std::stod(fmt::format("{:.12g}", top / range * std::pow(range, static_cast<double>(i) / (rungs - 1)))));
  return flops;
}

Cost plan_cost(const Workload& workload, const Configuration& configuration, const Throughput& throughput,
               const LadderLimits& limits, const LadderPlan& plan) {
  const auto runs_of = [&](double flops, int sizes) {
    return workload.isoflop_runs(configuration, flops, workload.prior_parameters(configuration, flops), sizes,
                                 limits.max_tokens);
  };
  const auto cost = [&](const std::vector<SizedRun>& runs) {
    return stage_cost(workload, configuration, throughput, limits, runs);
  };
  const auto one_size = [&](double flops, int runs) {
    return std::vector<SizedRun>(static_cast<size_t>(runs), runs_of(flops, 1).at(0));
  };
  Cost total = cost(one_size(plan.rungs[0], plan.tune_runs)) + cost(one_size(plan.rungs[1], plan.transfer_runs));
  std::vector<SizedRun> trunks = runs_of(plan.rungs[0], plan.lowest_sizes);
  std::vector<SizedRun> lowest = one_size(plan.rungs[0], plan.noise_runs);
  lowest.insert(lowest.end(), trunks.begin(), trunks.end());
  total = total + cost(lowest);
  std::vector<SizedRun> middle;
  for (size_t i = 1; i < plan.rungs.size(); ++i) {
    const bool top = i + 1 == plan.rungs.size();
    std::vector<SizedRun> runs = runs_of(plan.rungs[i], top ? plan.top_sizes : plan.middle_sizes);
    if (limits.branching) branch_off(workload, configuration, runs, trunks);
    if (top) return total + cost(middle) + cost(runs);
    middle.insert(middle.end(), runs.begin(), runs.end());
    trunks.insert(trunks.end(), runs.begin(), runs.end());
  }
  return total;
}

// The rungs below a top of `top` FLOPs: over the wanted range, or a smaller one that keeps the lowest rung informative.
LadderPlan plan_for_top(double top, double least) {
  LadderPlan plan{
      .tune_runs = 5, .transfer_runs = 3, .noise_runs = 4, .lowest_sizes = 5, .middle_sizes = 3, .top_sizes = 4};
  double range = kWantedRange;
  int rungs = kWantedRungs;
  if (top / range < least) {
    range = top / least;
    rungs = std::clamp(1 + static_cast<int>(std::floor(std::log(range) / std::log(2.0) + 1e-9)), kFewestRungs,
                       kWantedRungs);
  }
  plan.rungs = geometric_rungs(top, range, rungs);
  return plan;
}

}  // namespace

void branch_off(const Workload& workload, const Configuration& configuration, std::vector<SizedRun>& runs,
                std::span<const SizedRun> trunks) {
  for (SizedRun& run : runs) {
    const SizedRun full = run;
    for (const SizedRun& trunk : trunks)
      if (const auto branched = workload.branched(configuration, full, trunk);
          branched && branched->new_flops < run.new_flops)
        run = *branched;
  }
}

Cost stage_cost(const Workload& workload, const Configuration& configuration, const Throughput& throughput,
                const LadderLimits& limits, const std::vector<SizedRun>& runs) {
  std::vector<double> seconds;
  Cost cost;
  for (const SizedRun& run : runs) {
    seconds.push_back(throughput.seconds(run.parameters, cost_flops(workload, configuration, run, limits.eval_tokens)));
    cost.flops += budget_flops(workload, configuration, run, limits.eval_tokens);
  }
  cost.wall_seconds = makespan(seconds, limits.slots);
  return cost;
}

Cost operator+(Cost a, Cost b) {
  return {a.wall_seconds + b.wall_seconds, a.flops + b.flops};
}

bool fits(const Cost& cost, const LadderLimits& limits) {
  return (limits.wall_seconds <= 0 || cost.wall_seconds <= limits.wall_seconds) &&
         (limits.flops <= 0 || cost.flops <= limits.flops);
}

LadderPlan plan_ladder(const Workload& workload, const Configuration& configuration, const Throughput& throughput,
                       const LadderLimits& limits) {
  const double least = std::max(limits.lowest_flops, kSmallestRungFlops);
  const double smallest_top = least * std::pow(2.0, kFewestRungs - 1);
  const auto cost_of_top = [&](double top) {
    return plan_cost(workload, configuration, throughput, limits, plan_for_top(top, least));
  };

  // The corpus limits the top rung: at the compute-optimal size no run may exceed the allowed epochs.
  double data_top = 1e30;
  if (limits.max_tokens > 0) {
    const auto too_many = [&](double flops) { return workload.prior_tokens(configuration, flops) > limits.max_tokens; };
    double low = smallest_top, high = 1e28;
    if (too_many(low)) {
      throw_bad_input(
          "the corpus is too small: even the smallest ladder trains on {} tokens, and the training split allows {} "
          "with its "
          "epochs. Give at least {} times as much text, or raise --max-epochs.",
          format_count(workload.prior_tokens(configuration, low)), format_count(limits.max_tokens),
          std::ceil(workload.prior_tokens(configuration, low) / limits.max_tokens));
    }
    while (high / low > 1.02) {
      const double middle = std::sqrt(low * high);
      (too_many(middle) ? high : low) = middle;
    }
    data_top = low;
  }

  if (!fits(cost_of_top(smallest_top), limits)) {
    const Cost cost = cost_of_top(smallest_top);
    const auto advice = [](double needed, double left) -> std::string {
      constexpr double kToSpare = 1.05;  // a larger budget's last look takes more
      const double times = std::ceil(10 * kToSpare * needed / left) / 10;
      return times < 1000 ? fmt::format(". Give about {:.1f} times as much", times) : "";
    };
    if (limits.wall_seconds > 0 && cost.wall_seconds > limits.wall_seconds)
      throw_bad_input(
          "the budget is too small: the smallest ladder takes about {} on this machine, and {} are left for it{}",
          format_seconds(cost.wall_seconds), format_seconds(limits.wall_seconds),
          advice(cost.wall_seconds, limits.wall_seconds));
    throw_bad_input("the budget is too small: the smallest ladder needs about {}, and {} are left for it{}",
                    format_flops(cost.flops), format_flops(limits.flops), advice(cost.flops, limits.flops));
  }
  // Upwards from what fits: of a model far beyond the budget even the costs are costly to count.
  double low = smallest_top, high = 2 * low;
  while (fits(cost_of_top(high), limits) && high < data_top) low = high, high *= 2;
  while (high / low > 1.01) {
    const double middle = std::sqrt(low * high);
    (fits(cost_of_top(middle), limits) ? low : high) = middle;
  }
  const double top = std::min(low, data_top);
  LadderPlan plan = plan_for_top(top, least);
  if (data_top < low)
    plan.limits.push_back(
        fmt::format("The corpus, not the budget, sets the top rung: {} instead of {}, so that no compute-optimal run "
                    "repeats the text more "
                    "often than allowed. The rest of the budget goes into replicates.",
                    format_flops(top), format_flops(low)));
  const double range = plan.rungs.back() / plan.rungs.front();
  if (static_cast<int>(plan.rungs.size()) < 4 || range < 30)
    plan.limits.push_back(
        fmt::format("The budget allows {} rungs over {:.0f}x in FLOPs; at least four over 30x are wanted for a law "
                    "that can be trusted.",
                    plan.rungs.size(), range));
  const Cost cost = plan_cost(workload, configuration, throughput, limits, plan);
  plan.expected_wall_seconds = cost.wall_seconds;
  plan.expected_flops = cost.flops;
  return plan;
}

double top_rung_flops(const Workload& workload, const Configuration& configuration, const Throughput& throughput,
                      const LadderLimits& limits, double centre_parameters, double centre_flops, int top_sizes,
                      double max_rung, std::span<const SizedRun> trunks) {
  const auto cost = [&](double flops) {
    const double centre = centre_parameters * std::sqrt(flops / centre_flops);
    std::vector<SizedRun> runs = workload.isoflop_runs(configuration, flops, centre, top_sizes, limits.max_tokens);
    branch_off(workload, configuration, runs, trunks);
    return stage_cost(workload, configuration, throughput, limits, runs);
  };
  double low = kSmallestRungFlops, high = max_rung;
  if (fits(cost(high), limits)) return high;
  while (high / low > 1.005) {
    const double middle = std::sqrt(low * high);
    (fits(cost(middle), limits) ? low : high) = middle;
  }
  return low;
}

}  // namespace flywheel::campaign
