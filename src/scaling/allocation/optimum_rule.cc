#include "scaling/allocation/optimum_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "base/statistics.h"
#include "scaling/allocation/levels.h"
#include "scaling/allocation/line.h"

namespace flywheel::scaling {
namespace {

constexpr double kWidest = 13;        // high over low of the size at the highest compute; a wider interval knows none
constexpr double kBeyondSizes = 1.5;  // times the sizes sampled: farther out there is nothing that it would rest on
constexpr double kOneCompute = 1.5;   // runs within this factor of compute say nothing of other compute
constexpr double kOneSize = 1.2;      // likewise of sizes
constexpr double kFollows = 0.2;      // spread of ln D beside a power of N below which tokens follow size
constexpr size_t kFewestPoints = 4;
// On the interval in ln N: the drawn surfaces take the sizes of noise and misfit as known, and held the truth in 85% of
// made-up ladders of three and four sizes.
constexpr double kWiden = 1.25;

FlopsPerToken per_token_of(const Forecaster& forecaster) {
  return [&forecaster](double N) { return forecaster.flops_rule().per_token(N); };
}

void take_path(std::span<const Point> points, OptimumRule& rule) {
  std::vector<double> x, y, ones;
  for (const Level& level : levels_of(points)) {
    const auto best = std::min_element(level.points.begin(), level.points.end(),
                                       [](const Point& a, const Point& b) { return a.L < b.L; });
    x.push_back(std::log(level.flops));
    y.push_back(std::log(best->N));
    ones.push_back(1);
  }
  // Size and tokens both grow with compute, or one of them stays.
  if (x.back() - x.front() > std::log(kOneCompute))
    rule.path_slope = std::clamp(weighted_line(x, y, ones).slope, 0.0, 1.0);
  for (size_t i = 0; i < x.size(); ++i)
    rule.path_intercept += (y[i] - rule.path_slope * x[i]) / static_cast<double>(x.size());
}

double range_ratio(std::span<const Point> points, double (*of)(const Point&)) {
  double low = INFINITY, high = 0;
  for (const Point& p : points) low = std::min(low, of(p)), high = std::max(high, of(p));
  return high / low;
}

bool tokens_follow_size(std::span<const Point> points) {
  std::vector<double> x, y, ones(points.size(), 1);
  for (const Point& p : points) x.push_back(std::log(p.N)), y.push_back(std::log(p.D));
  const Line line = weighted_line(x, y, ones);
  double squares = 0;
  for (size_t i = 0; i < x.size(); ++i) squares += std::pow(y[i] - line.at(x[i]), 2);
  return std::sqrt(squares / static_cast<double>(x.size())) < kFollows;
}

// Which sizes, as multiples of the one the ladder tried at a level, are missing there.
enum class Missing { kNothing, kSmaller, kLarger, kBothSides, kOtherCompute };

struct Judgement {
  Missing missing = Missing::kNothing;
  std::string why;
};

// `size`: the forecast's optimum at the highest compute, with its own interval, before other approaches widen it.
Judgement judge(std::span<const Point> points, const std::vector<Bracket>& brackets, const Forecaster& forecaster,
                const Range& size) {
  if (points.size() < kFewestPoints)
    return {Missing::kBothSides, fmt::format("{} runs, expected at least {}", points.size(), kFewestPoints)};
  if (range_ratio(points, [](const Point& p) { return flops_of(p); }) < kOneCompute)
    return {Missing::kOtherCompute,
            "all runs took about the same compute: how the best size grows with compute cannot be told"};
  const double sizes = range_ratio(points, [](const Point& p) { return p.N; });
  if (sizes < kOneSize) return {Missing::kBothSides, "all runs are of one size: no other size is there to compare"};
  int voting = 0, inside = 0, smallest = 0, largest = 0;
  std::vector<const Bracket*> curves;
  for (const Bracket& b : brackets) {
    if (b.sizes > 1) ++voting;
    inside += b.best == BestAt::kInside, smallest += b.best == BestAt::kSmallest, largest += b.best == BestAt::kLargest;
    if (b.sizes > 2) curves.push_back(&b);
  }
  if (voting == 0 && tokens_follow_size(points))
    return {Missing::kBothSides,
            "tokens follow size throughout: no two runs of the same compute divide it in another way"};
  if (voting > 0 && smallest == voting)
    return {Missing::kSmaller,
            fmt::format("the smallest size tried is the best on each of {} compute levels: the best may lie anywhere "
                        "below it",
                        voting)};
  if (voting > 0 && largest == voting)
    return {Missing::kLarger,
            fmt::format("the largest size tried is the best on each of {} compute levels: the best may lie anywhere "
                        "above it",
                        voting)};
  if (voting > 0 && inside == 0)
    return {Missing::kBothSides,
            fmt::format("on none of {} compute levels does the lowest loss lie inside the sizes tried", voting)};
  // The upper half of the levels decides, as the forecast starts from there.
  size_t below = 0, above = 0, upper = (curves.size() + 1) / 2;
  for (size_t i = curves.size() - upper; i < curves.size(); ++i) {
    const double best = forecaster.compute_optimal(curves[i]->flops).N;
    below += best<curves[i]->smallest, above += best> curves[i]->largest;
  }
  if (2 * (below + above) > upper)
    return {below > above ? Missing::kSmaller : Missing::kLarger,
            fmt::format("the forecast's best size lies {} all sizes tried on {} of the {} highest compute levels",
                        below > above ? "below" : "above", std::max(below, above), upper)};
  double least = INFINITY, most = 0;
  for (const Point& p : points) least = std::min(least, p.N), most = std::max(most, p.N);
  if (size.value < least / kBeyondSizes || size.value > most * kBeyondSizes)
    return {size.value < least ? Missing::kSmaller : Missing::kLarger,
            fmt::format("at the highest compute the forecast's best size lies far {} all sizes tried",
                        size.value < least ? "below" : "above")};
  if (size.high > kWidest * size.low)
    return {Missing::kBothSides,
            fmt::format("at the highest compute the best size is known no better than {} to {} parameters (90%)",
                        format_count(size.low), format_count(size.high))};
  return {Missing::kNothing, fmt::format("the lowest loss lies inside the sizes tried on {} of {} compute levels",
                                         inside, brackets.size())};
}

// Runs at the highest levels that together cost no more than the runs at hand, three at most, so that three minima show
// how the optimum moves.
std::vector<WantedRun> wanted_runs(std::span<const Point> points, const std::vector<Bracket>& brackets,
                                   const OptimumRule& rule, const Forecaster& forecaster, Missing missing) {
  constexpr size_t kMostLevels = 3;
  const FlopsPerToken per_token = per_token_of(forecaster);
  std::vector<WantedRun> wanted;
  const auto want = [&](double N, double flops) {
    const double D = flops / per_token(N);
    if (N >= 1 && D >= 1) wanted.push_back({N, D, flops});
  };
  if (missing == Missing::kOtherCompute) {
    for (const double less : {4.0, 16.0})
      for (const double factor : {0.5, 1.0, 2.0})
        want(factor * rule.ladder_size(rule.highest_flops / less), rule.highest_flops / less);
    return wanted;
  }
  double left = 0;
  for (const Point& p : points) left += p.count * flops_of(p);
  size_t levels = 0;
  for (size_t i = brackets.size(); i-- > 0 && levels < kMostLevels;) {
    const Bracket& b = brackets[i];
    std::vector<double> sizes;
    // Past the edge to where the forecast guesses the optimum, and one step further.
    const double guess = forecaster.compute_optimal(b.flops).N;
    constexpr int kMostSteps = 5;
    const auto steps = [&](double distance) {
      return std::clamp(static_cast<int>(std::ceil(std::log2(distance))) + 1, 2, kMostSteps);
    };
    if (missing == Missing::kSmaller)
      for (int k = 1; k <= steps(b.smallest / guess); ++k) sizes.push_back(b.smallest * std::pow(0.5, k));
    else if (missing == Missing::kLarger)
      for (int k = 1; k <= steps(guess / b.largest); ++k) sizes.push_back(b.largest * std::pow(2.0, k));
    else
      for (const double factor : {0.25, 0.5, 2.0, 4.0}) sizes.push_back(factor * rule.ladder_size(b.flops));
    const double cost = static_cast<double>(sizes.size()) * b.flops;
    if (cost > left && i > 0) continue;
    left -= cost;
    ++levels;
    for (const double N : sizes) want(N, b.flops);
  }
  return wanted;
}

Optimum widened(Optimum optimum) {
  optimum.N_low = optimum.N * std::pow(std::min(1.0, optimum.N_low / optimum.N), kWiden);
  optimum.N_high = optimum.N * std::pow(std::max(1.0, optimum.N_high / optimum.N), kWiden);
  return optimum;
}

bool joins(const Approach& approach) {
  return approach.missing.empty() && !approach.follows_samples;
}

void take_exponent(const Forecaster& forecaster, OptimumRule& rule) {
  constexpr double kReach = 1000;  // of the runs' compute, below the highest
  constexpr int kPlaces = 5;
  const double lowest = std::max(rule.lowest_flops, rule.highest_flops / kReach);
  std::vector<double> flops, x, ones(kPlaces, 1), y;
  for (int i = 0; i < kPlaces; ++i) {
    flops.push_back(lowest * std::pow(rule.highest_flops / lowest, static_cast<double>(i) / (kPlaces - 1)));
    x.push_back(std::log(flops.back()));
  }
  const FlopsPerToken per_token = per_token_of(forecaster);
  for (const double C : flops) y.push_back(std::log(forecaster.compute_optimal(C, per_token).N));
  rule.a.value = weighted_line(x, y, ones).slope;
  std::vector<double> slopes;
  const auto sizes = forecaster.optimal_sizes(flops, per_token);
  for (size_t draw = 0; draw < sizes[0].size(); ++draw) {
    for (size_t i = 0; i < x.size(); ++i) y[i] = sizes[i][draw];
    slopes.push_back(std::clamp(weighted_line(x, y, ones).slope, 0.0, 1.0));
  }
  rule.a.low = std::min(rule.a.value, quantile(slopes, 0.025));
  rule.a.high = std::max(rule.a.value, quantile(slopes, 0.975));
  const Range own = rule.a;
  for (const Approach& approach : rule.approaches) {
    if (!joins(approach)) continue;
    if (approach.low > own.high || approach.high < own.low)
      rule.warnings.push_back(
          fmt::format("{} says that the best size grows as compute to the power {:.2f} (95%: {:.2f} to {:.2f}), the "
                      "forecast {:.2f} ({:.2f} to {:.2f}): at least one of their assumptions fails here",
                      approach.name, approach.a, approach.low, approach.high, own.value, own.low, own.high));
    rule.a.low = std::min(rule.a.low, approach.a);
    rule.a.high = std::max(rule.a.high, approach.a);
  }
}

}  // namespace

double OptimumRule::ladder_size(double flops) const {
  return std::exp(path_intercept + path_slope * std::log(flops));
}

bool OptimumRule::reaches(double flops) const {
  return flops <= reach_flops * (1 + 1e-9);
}

Optimum OptimumRule::at(const Forecaster& forecaster, double flops) const {
  return at(forecaster, flops, per_token_of(forecaster));
}

Optimum OptimumRule::at(const Forecaster& forecaster, double flops, const FlopsPerToken& flops_per_token) const {
  if (!identified) {
    const double N = ladder_size(flops);
    return forecaster.predict(N, flops / flops_per_token(N), forecaster.typical_aspect(N));
  }
  Optimum optimum = widened(forecaster.compute_optimal(flops, flops_per_token));
  for (const Approach& approach : approaches) {
    if (!joins(approach)) continue;
    optimum.N_low = std::min(optimum.N_low, approach.size_at(flops));
    optimum.N_high = std::max(optimum.N_high, approach.size_at(flops));
  }
  return optimum;
}

OptimumRule optimum_of(std::span<const Point> points, const Forecaster& forecaster, const Fit* parametric) {
  check_points(points);
  OptimumRule rule;
  rule.model = "forecaster: a law of N and D with a model of its misfit";
  rule.lowest_flops = INFINITY;
  for (const Point& p : points) {
    rule.lowest_flops = std::min(rule.lowest_flops, flops_of(p));
    rule.highest_flops = std::max(rule.highest_flops, flops_of(p));
  }
  const double span = std::log10(rule.highest_flops / rule.lowest_flops);
  rule.reach_flops = rule.highest_flops * std::pow(10.0, std::min(kMostDecades, 2 * span));
  take_path(points, rule);
  const Optimum top = widened(forecaster.compute_optimal(rule.highest_flops));
  const std::vector<Bracket> brackets = brackets_of(points);
  const Judgement judgement = judge(points, brackets, forecaster, {top.N, top.N_low, top.N_high});
  rule.identified = judgement.missing == Missing::kNothing;
  rule.why = judgement.why;
  rule.approaches = {envelope_approach(points), parabola_approach(points), interpolation_approach(points)};
  if (parametric != nullptr) rule.approaches.push_back(parametric_approach(*parametric));
  if (!rule.identified) {
    for (Approach& approach : rule.approaches)
      if (approach.missing.empty()) approach.missing = "no compute-optimal size is identified";
    rule.runs_to_identify = wanted_runs(points, brackets, rule, forecaster, judgement.missing);
    return rule;
  }
  for (const Approach& approach : rule.approaches) {
    if (!joins(approach)) continue;
    const double size = approach.size_at(rule.highest_flops);
    if (size < top.N_low || size > top.N_high)
      rule.warnings.push_back(fmt::format(
          "at {:.3g} FLOPs {} puts the best size at {} parameters, outside the forecast's {} to {} (90%); "
          "the interval shown holds both",
          rule.highest_flops, approach.name, format_count(size), format_count(top.N_low), format_count(top.N_high)));
  }
  const Optimum shown = rule.at(forecaster, rule.highest_flops);
  rule.why = fmt::format("at the highest compute the best size is known within {:.2g}x (90%); {}",
                         shown.N_high / shown.N_low, rule.why);
  take_exponent(forecaster, rule);
  return rule;
}

}  // namespace flywheel::scaling
