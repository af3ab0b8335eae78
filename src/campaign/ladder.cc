#include "campaign/ladder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "recipe/phases.h"

namespace flywheel::campaign {
namespace {

constexpr double kGridOrigin = 1e4;  // matrix parameters of one grid point

LadderRun of_size(const recipe::Recipe& recipe, const recipe::Size& size) {
  LadderRun run;
  run.size = size;
  run.flops = recipe::training_flops(recipe, size);
  run.parameters = static_cast<double>(count(recipe, size).matrix_parameters);
  run.tokens = static_cast<double>(size.tokens());
  run.new_flops = recipe::new_training_flops(recipe, size);
  return run;
}

// The family's sizes up to `high` parameters; where `on_grid`, only those nearest to a point of the geometric grid.
std::vector<recipe::Size> ladder_sizes(const recipe::Recipe& recipe, double high, bool on_grid) {
  const std::vector<recipe::Size> all = family(recipe, 1, high);
  if (!on_grid) return all;
  std::vector<double> logs;
  for (const recipe::Size& size : all)
    logs.push_back(std::log(static_cast<double>(count(recipe, size).matrix_parameters)));
  std::vector<recipe::Size> sizes;
  size_t last = all.size();
  const double step = std::log(kSpacing);
  for (size_t i = 0; i < all.size(); ++i) {
    // The grid point nearest to this size, and the size nearest to that point.
    const double point = std::log(kGridOrigin) + step * std::round((logs[i] - std::log(kGridOrigin)) / step);
    const auto nearest = static_cast<size_t>(
        std::min_element(logs.begin(), logs.end(),
                         [&](double a, double b) { return std::abs(a - point) < std::abs(b - point); }) -
        logs.begin());
    if (nearest != last) sizes.push_back(all[nearest]);
    last = nearest;
  }
  return sizes;
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

Cost plan_cost(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
               const LadderPlan& plan) {
  const auto runs_of = [&](double flops, int sizes) {
    return isoflop_runs(recipe, flops, prior_optimum(recipe, flops), sizes, limits.max_tokens);
  };
  const auto cost = [&](const std::vector<LadderRun>& runs) { return stage_cost(recipe, throughput, limits, runs); };
  const auto one_size = [&](double flops, int runs) {
    return std::vector<LadderRun>(static_cast<size_t>(runs), runs_of(flops, 1).at(0));
  };
  Cost total = cost(one_size(plan.rungs[0], plan.tune_runs)) + cost(one_size(plan.rungs[1], plan.transfer_runs));
  std::vector<LadderRun> trunks = runs_of(plan.rungs[0], plan.lowest_sizes);
  std::vector<LadderRun> lowest = one_size(plan.rungs[0], plan.noise_runs);
  lowest.insert(lowest.end(), trunks.begin(), trunks.end());
  total = total + cost(lowest);
  std::vector<LadderRun> middle;
  for (size_t i = 1; i < plan.rungs.size(); ++i) {
    const bool top = i + 1 == plan.rungs.size();
    std::vector<LadderRun> runs = runs_of(plan.rungs[i], top ? plan.top_sizes : plan.middle_sizes);
    if (limits.branching) branch_off(recipe, runs, trunks);
    if (top) return total + cost(middle) + cost(runs);
    middle.insert(middle.end(), runs.begin(), runs.end());
    trunks.insert(trunks.end(), runs.begin(), runs.end());
  }
  return total;
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

LadderRun ladder_run(const recipe::Recipe& recipe, const recipe::Size& model, double flops) {
  return of_size(recipe, recipe::with_flops(recipe, model, flops));
}

std::optional<LadderRun> branched_run(const recipe::Recipe& recipe, const LadderRun& run, const LadderRun& trunk) {
  const auto size = recipe::branched_size(recipe, run.size, trunk.size);
  if (!size) return std::nullopt;
  return of_size(recipe, *size);
}

void branch_off(const recipe::Recipe& recipe, std::vector<LadderRun>& runs, std::span<const LadderRun> trunks) {
  for (LadderRun& run : runs) {
    const LadderRun full = run;
    for (const LadderRun& trunk : trunks)
      if (const auto branched = branched_run(recipe, full, trunk); branched && branched->new_flops < run.new_flops)
        run = *branched;
  }
}

Cost stage_cost(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                const std::vector<LadderRun>& runs) {
  std::vector<double> seconds;
  Cost cost;
  for (const LadderRun& run : runs) {
    seconds.push_back(throughput.seconds(run.parameters, cost_flops(recipe, run, limits.eval_tokens)));
    cost.flops += run.new_flops;
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

double cost_flops(const recipe::Recipe& recipe, const LadderRun& run, double eval_tokens) {
  const double evaluation = eval_tokens * count(recipe, run.size).forward_flops_per_token;
  return run.new_flops + evaluations(run.tokens, eval_tokens) * evaluation * run.new_flops / run.flops;
}

double prior_optimum(const recipe::Recipe& recipe, double flops) {
  return static_cast<double>(count(recipe, recipe::size_for_flops(recipe, flops)).matrix_parameters);
}

std::vector<LadderRun> isoflop_runs(const recipe::Recipe& recipe, double flops, double centre, int count_wanted,
                                    double max_tokens) {
  const auto wanted = static_cast<size_t>(count_wanted);
  std::vector<LadderRun> runs;
  // Upward until there are enough sizes above the centre; farther where the corpus forbids the smaller ones.
  for (double reach = std::pow(kSpacing, count_wanted + 2); reach < 1e5; reach *= 8) {
    runs.clear();
    for (const recipe::Size& size : ladder_sizes(recipe, std::max(centre, kGridOrigin) * reach, wanted > 1)) {
      LadderRun run = ladder_run(recipe, size, flops);
      if (max_tokens <= 0 || run.tokens <= max_tokens * 1.001) runs.push_back(std::move(run));
    }
    if (runs.size() >= wanted && runs[runs.size() - wanted].parameters >= centre) break;
  }
  if (runs.empty())
    throw_failed("no size of the recipe fits {} with at most {} tokens", format_flops(flops), format_count(max_tokens));
  // The window whose middle comes nearest to the centre.
  size_t best = 0;
  double best_distance = HUGE_VAL;
  for (size_t first = 0; first + wanted <= runs.size(); ++first) {
    double sum = 0;
    for (size_t i = first; i < first + wanted; ++i) sum += std::log(runs[i].parameters / centre);
    if (std::abs(sum) < best_distance) best = first, best_distance = std::abs(sum);
  }
  const auto begin = runs.begin() + static_cast<std::ptrdiff_t>(best);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(wanted, runs.size() - best))};
}

LadderPlan plan_ladder(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits) {
  const double smallest_top = kSmallestRungFlops * std::pow(2.0, kFewestRungs - 1);
  const auto cost_of_top = [&](double top) { return plan_cost(recipe, throughput, limits, plan_for_top(top)); };

  // What the corpus allows: at the compute-optimal size no run may repeat the text more often than allowed.
  double data_top = 1e30;
  if (limits.max_tokens > 0) {
    const auto too_many = [&](double flops) {
      return recipe::size_for_flops(recipe, flops).tokens() > limits.max_tokens;
    };
    double low = smallest_top, high = 1e28;
    if (too_many(low)) {
      throw_bad_input(
          "the corpus is too small: even the smallest ladder trains on {} tokens, and the training split allows {} "
          "with its "
          "epochs. Give at least {} times as much text, or raise --max-epochs.",
          format_count(static_cast<double>(recipe::size_for_flops(recipe, low).tokens())),
          format_count(limits.max_tokens),
          std::ceil(static_cast<double>(recipe::size_for_flops(recipe, low).tokens()) / limits.max_tokens));
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

double top_rung_flops(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                      double centre_parameters, double centre_flops, int top_sizes, double max_rung,
                      std::span<const LadderRun> trunks) {
  const auto cost = [&](double flops) {
    const double centre = centre_parameters * std::sqrt(flops / centre_flops);
    std::vector<LadderRun> runs = isoflop_runs(recipe, flops, centre, top_sizes, limits.max_tokens);
    branch_off(recipe, runs, trunks);
    return stage_cost(recipe, throughput, limits, runs);
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

}  // namespace flywheel::campaign
