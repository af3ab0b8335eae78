#include "research/ladder.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/format.h"

namespace flywheel::research {
namespace {

LadderRun make_run(const Recipe& recipe, const Size& model, double flops) {
  LadderRun run;
  run.size = with_flops(recipe, model, flops);
  run.flops = training_flops(recipe, run.size);
  run.parameters = static_cast<double>(count(recipe, run.size).matrix_parameters);
  run.tokens = static_cast<double>(run.size.tokens());
  return run;
}

// Seconds until `slots` slots have worked off runs of these lengths, longest first.
double makespan(std::vector<double> seconds, int slots) {
  std::sort(seconds.rbegin(), seconds.rend());
  std::vector<double> busy(static_cast<size_t>(std::max(slots, 1)), 0.0);
  for (double s : seconds) *std::min_element(busy.begin(), busy.end()) += s;
  return *std::max_element(busy.begin(), busy.end());
}

std::vector<double> geometric_rungs(double top, double range, int rungs) {
  std::vector<double> flops;
  for (int i = 0; i < rungs; ++i) flops.push_back(top / range * std::pow(range, static_cast<double>(i) / (rungs - 1)));
  return flops;
}

Cost plan_cost(const Recipe& recipe, const Throughput& throughput, const LadderLimits& limits, const LadderPlan& plan) {
  auto one_size = [&](double flops, int runs) {
    const auto single = isoflop_runs(recipe, flops, prior_optimum(recipe, flops), 1, 1, limits.max_tokens);
    return std::vector<LadderRun>(static_cast<size_t>(runs), single.at(0));
  };
  Cost total = stage_cost(recipe, throughput, limits, one_size(plan.rungs[0], plan.tune_runs));
  total = total + stage_cost(recipe, throughput, limits, one_size(plan.rungs[1], plan.transfer_runs));
  std::vector<LadderRun> lowest = one_size(plan.rungs[0], plan.noise_runs);
  for (const LadderRun& run : isoflop_runs(recipe, plan.rungs[0], prior_optimum(recipe, plan.rungs[0]),
                                           plan.lowest_sizes, kIsoflopSpacing, limits.max_tokens))
    lowest.push_back(run);
  total = total + stage_cost(recipe, throughput, limits, lowest);
  std::vector<LadderRun> middle;
  for (size_t i = 1; i + 1 < plan.rungs.size(); ++i)
    for (const LadderRun& run : isoflop_runs(recipe, plan.rungs[i], prior_optimum(recipe, plan.rungs[i]),
                                             plan.middle_sizes, kIsoflopSpacing, limits.max_tokens))
      middle.push_back(run);
  total = total + stage_cost(recipe, throughput, limits, middle);
  return total + stage_cost(recipe, throughput, limits,
                            isoflop_runs(recipe, plan.rungs.back(), prior_optimum(recipe, plan.rungs.back()),
                                         plan.top_sizes, kTopSpacing, limits.max_tokens));
}

// The rungs for a top of `top` FLOPs: the wanted range where the lowest rung stays meaningful, else less.
LadderPlan plan_for_top(double top) {
  LadderPlan plan;
  double range = kWantedRange;
  int rungs = kWantedRungs;
  if (top / range < kSmallestRungFlops) {
    range = top / kSmallestRungFlops;
    rungs = std::clamp(1 + static_cast<int>(std::floor(std::log(range) / std::log(2.0) + 1e-9)), kFewestRungs,
                       kWantedRungs);
  }
  plan.rungs = geometric_rungs(top, range, rungs);
  return plan;
}

}  // namespace

Cost stage_cost(const Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                const std::vector<LadderRun>& runs) {
  std::vector<double> seconds;
  Cost cost;
  for (const LadderRun& run : runs) {
    seconds.push_back(throughput.seconds(run.parameters, cost_flops(recipe, run, limits.eval_tokens)));
    cost.flops += run.flops;
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

int evaluations(double tokens, double eval_tokens) {
  return static_cast<int>(std::clamp(std::floor(0.05 * 3 * tokens / eval_tokens), 1.0, 20.0));
}

double cost_flops(const Recipe& recipe, const LadderRun& run, double eval_tokens) {
  return run.flops +
         evaluations(run.tokens, eval_tokens) * eval_tokens * count(recipe, run.size).forward_flops_per_token;
}

double prior_optimum(const Recipe& recipe, double flops) {
  return static_cast<double>(count(recipe, size_for_flops(recipe, flops)).matrix_parameters);
}

std::vector<LadderRun> isoflop_runs(const Recipe& recipe, double flops, double centre, int count_wanted, double spacing,
                                    double max_tokens) {
  // The smallest size that stays within the tokens the corpus offers.
  double lowest = 0;
  if (max_tokens > 0) {
    const auto smaller_than_allowed = [&](double parameters) {
      return make_run(recipe, nearest_size(recipe, parameters), flops).tokens > max_tokens;
    };
    double low = 1e3, high = centre * 1e4;
    if (smaller_than_allowed(low)) {
      for (int i = 0; i < 60 && high / low > 1.01; ++i) {
        const double middle = std::sqrt(low * high);
        (smaller_than_allowed(middle) ? low : high) = middle;
      }
      lowest = high;
    }
  }
  const double half = 0.5 * (count_wanted - 1);
  double first = centre * std::pow(spacing, -half);
  if (first < lowest) first = lowest;
  std::vector<LadderRun> runs;
  std::set<int64_t> seen;
  double target = first;
  for (int tries = 0; static_cast<int>(runs.size()) < count_wanted && tries < 20 * count_wanted; ++tries) {
    LadderRun run = make_run(recipe, nearest_size(recipe, target), flops);
    const auto parameters = static_cast<int64_t>(run.parameters);
    if (seen.insert(parameters).second && (max_tokens <= 0 || run.tokens <= max_tokens * 1.001)) {
      runs.push_back(run);
      target = std::max(run.parameters * 1.05, first * std::pow(spacing, static_cast<double>(runs.size())));
    } else {
      target *= 1.1;
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const LadderRun& a, const LadderRun& b) { return a.parameters < b.parameters; });
  if (runs.empty())
    throw_failed("no size of the recipe fits {} with at most {} tokens", format_flops(flops), format_count(max_tokens));
  return runs;
}

LadderPlan plan_ladder(const Recipe& recipe, const Throughput& throughput, const LadderLimits& limits) {
  const double smallest_top = kSmallestRungFlops * std::pow(2.0, kFewestRungs - 1);
  const auto cost_of_top = [&](double top) { return plan_cost(recipe, throughput, limits, plan_for_top(top)); };

  // What the corpus allows: at the compute-optimal size no run may repeat the text more often than allowed.
  double data_top = 1e30;
  if (limits.max_tokens > 0) {
    const auto too_many = [&](double flops) { return size_for_flops(recipe, flops).tokens() > limits.max_tokens; };
    double low = smallest_top, high = 1e28;
    if (too_many(low)) {
      throw_bad_input(
          "the corpus is too small: even the smallest ladder trains on {} tokens, and the training split allows {} "
          "with its "
          "epochs. Give at least {} times as much text, or raise --max-epochs.",
          format_count(static_cast<double>(size_for_flops(recipe, low).tokens())), format_count(limits.max_tokens),
          std::ceil(static_cast<double>(size_for_flops(recipe, low).tokens()) / limits.max_tokens));
    }
    while (high / low > 1.02) {
      const double middle = std::sqrt(low * high);
      (too_many(middle) ? high : low) = middle;
    }
    data_top = low;
  }

  if (!fits(cost_of_top(smallest_top), limits)) {
    const Cost cost = cost_of_top(smallest_top);
    if (limits.wall_seconds > 0 && cost.wall_seconds > limits.wall_seconds)
      throw_bad_input(
          "the budget is too small: the smallest ladder takes about {} on this machine, and {} are left for it",
          format_seconds(cost.wall_seconds), format_seconds(std::max(limits.wall_seconds, 0.0)));
    throw_bad_input("the budget is too small: the smallest ladder needs about {}, and {} are left for it",
                    format_flops(cost.flops), format_flops(limits.flops));
  }
  double low = smallest_top, high = 1e28;
  while (high / low > 1.01) {
    const double middle = std::sqrt(low * high);
    (fits(cost_of_top(middle), limits) ? low : high) = middle;
  }
  const double top = std::min(low, data_top);
  LadderPlan plan = plan_for_top(top);
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
  const Cost cost = plan_cost(recipe, throughput, limits, plan);
  plan.expected_wall_seconds = cost.wall_seconds;
  plan.expected_flops = cost.flops;
  return plan;
}

double top_rung_flops(const Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                      double centre_parameters, double centre_flops, int top_sizes, double max_rung) {
  const auto cost = [&](double flops) {
    const double centre = centre_parameters * std::sqrt(flops / centre_flops);
    return stage_cost(recipe, throughput, limits,
                      isoflop_runs(recipe, flops, centre, top_sizes, kTopSpacing, limits.max_tokens));
  };
  double low = kSmallestRungFlops, high = max_rung;
  if (fits(cost(high), limits)) return high;
  while (high / low > 1.005) {
    const double middle = std::sqrt(low * high);
    (fits(cost(middle), limits) ? low : high) = middle;
  }
  return low;
}

Json to_json(const LadderPlan& plan) {
  return Json{{"rungs", plan.rungs},
              {"tune_runs", plan.tune_runs},
              {"transfer_runs", plan.transfer_runs},
              {"noise_runs", plan.noise_runs},
              {"lowest_sizes", plan.lowest_sizes},
              {"middle_sizes", plan.middle_sizes},
              {"top_sizes", plan.top_sizes},
              {"expected_wall_seconds", plan.expected_wall_seconds},
              {"expected_flops", plan.expected_flops},
              {"limits", plan.limits}};
}

LadderPlan ladder_plan_from_json(const Json& json, const std::string& where) {
  LadderPlan plan;
  plan.rungs = json_field<std::vector<double>>(json, "rungs", where);
  plan.tune_runs = json_field<int>(json, "tune_runs", where);
  plan.transfer_runs = json_field<int>(json, "transfer_runs", where);
  plan.noise_runs = json_field<int>(json, "noise_runs", where);
  plan.lowest_sizes = json_field<int>(json, "lowest_sizes", where);
  plan.middle_sizes = json_field<int>(json, "middle_sizes", where);
  plan.top_sizes = json_field<int>(json, "top_sizes", where);
  plan.expected_wall_seconds = json_field<double>(json, "expected_wall_seconds", where);
  plan.expected_flops = json_field<double>(json, "expected_flops", where);
  plan.limits = json_field<std::vector<std::string>>(json, "limits", where);
  return plan;
}

}  // namespace flywheel::research
