// How well the compute-optimal size of a finished ladder is said from its lower part: the ladder is cut at its highest
// compute over k, and the size is compared to the minimum that interpolation finds among the runs of each level above
// the cut (isoflop_akima.h), and on made-up ladders to the law that made them. Prints the tables of docs/plan.md.
//   measure_optimum [--seeds 100] RUNS.csv...
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/statistics.h"
#include "scaling/allocation/optimum_rule.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace flywheel::bench {
namespace {

using scaling::flops_of;
using scaling::Point;
using scaling::Range;

constexpr double kCuts[] = {1, 3, 10, 30};

// Sizes by one method from the runs below a cut; N 0: none.
using SizeAt = std::function<Range(double flops)>;
struct Method {
  const char* name;
  std::function<SizeAt(const std::vector<Point>& below)> from;
};

SizeAt plain(const std::vector<Point>& below, const char* form) {
  scaling::FitOptions options = scaling::published_options();
  options.bootstrap = 40;
  options.form = form;
  const scaling::Fit fit = scaling::fit(below, options);
  return [fit](double flops) -> Range {
    const scaling::FlopsPerToken per_token = [&](double N) { return fit.flops_rule.per_token(N); };
    const double N = scaling::best_size(loss_of(fit.law), per_token, flops);
    std::vector<double> sizes;
    for (const scaling::Law& law : fit.resamples) sizes.push_back(scaling::best_size(loss_of(law), per_token, flops));
    return {N, quantile(sizes, 0.05), quantile(sizes, 0.95)};
  };
}

SizeAt by_forecaster(const std::vector<Point>& below) {
  const auto forecaster = std::make_shared<scaling::Forecaster>(below);
  return [forecaster](double flops) -> Range {
    const scaling::Optimum o = forecaster->compute_optimal(flops);
    return {o.N, o.N_low, o.N_high};
  };
}

SizeAt by_line(const scaling::Approach& approach) {
  return [approach](double flops) -> Range {
    if (!approach.missing.empty()) return {};
    const double N = approach.size_at(flops);
    return {N, N, N};
  };
}

SizeAt by_rule(const std::vector<Point>& below) {
  const auto forecaster = std::make_shared<scaling::Forecaster>(below);
  const auto rule = std::make_shared<scaling::OptimumRule>(scaling::optimum_of(below, *forecaster));
  return [=](double flops) -> Range {
    if (!rule->identified) return {};
    const scaling::Optimum o = rule->at(*forecaster, flops);
    return {o.N, o.N_low, o.N_high};
  };
}

const Method kMethods[] = {
    {"chinchilla, plain fit", [](const auto& below) { return plain(below, "chinchilla"); }},
    {"kappa, plain fit", [](const auto& below) { return plain(below, "kappa"); }},
    {"interpolation", [](const auto& below) { return by_line(scaling::interpolation_approach(below)); }},
    {"parabolas", [](const auto& below) { return by_line(scaling::parabola_approach(below)); }},
    {"forecaster", by_forecaster},
    {"the rule", by_rule},
};

struct Score {
  std::vector<double> errors;  // of ln N, absolute
  int inside = 0, asked = 0;   // asked: also where no size was given
  double widths = 0;
  void add(const Range& size, double truth, double truth_sd) {
    ++asked;
    if (!(size.value > 0)) return;
    errors.push_back(std::abs(std::log(size.value / truth)));
    inside += std::log(size.low / truth) <= truth_sd && std::log(size.high / truth) >= -truth_sd;
    widths += std::log(size.high / size.low);
  }
  void print() const {
    if (errors.empty()) {
      fmt::print("  {:>32}", "none");
      return;
    }
    double squares = 0;
    for (const double e : errors) squares += e * e;
    const auto n = static_cast<double>(errors.size());
    fmt::print("  {:5.2f}x {:5.2f}x {:3.0f}% {:6.2f}x {:>3}/{:<3}", std::exp(quantile(errors, 0.5)),
               std::exp(std::sqrt(squares / n)), 100 * inside / n, std::exp(widths / n), errors.size(), asked);
  }
};

void print_scores(const std::vector<std::array<Score, std::size(kCuts)>>& scores) {
  fmt::print("{:<24}", "median, rms, inside, width");
  for (const double k : kCuts) fmt::print("  {:>32}", fmt::format("k = {}", k));
  fmt::print("\n");
  for (size_t m = 0; m < scores.size(); ++m) {
    fmt::print("{:<24}", kMethods[m].name);
    for (const Score& score : scores[m]) score.print();
    fmt::print("\n");
  }
}

void public_ladders(const std::vector<Path>& paths) {
  std::vector<std::array<Score, std::size(kCuts)>> all(std::size(kMethods));
  for (const Path& path : paths) {
    const std::vector<Point> points = scaling::parse_runs(real_file_system().read(path), path.string()).points;
    std::vector<scaling::LevelMinimum> minima = scaling::interpolation_approach(points).minima;
    std::erase_if(minima, [](const auto& m) { return !m.inner; });
    const scaling::Forecaster whole(points);
    const scaling::OptimumRule rule = scaling::optimum_of(points, whole);
    fmt::print("{:<50} {} inner minima of levels; {}identified; a {:.3f} ({:.3f} to {:.3f})\n", path.stem().string(),
               minima.size(), rule.identified ? "" : "not ", rule.a.value, rule.a.low, rule.a.high);
    if (!rule.identified) fmt::print("  {}\n", rule.why);
    double highest = 0;
    for (const auto& m : minima) highest = std::max(highest, m.flops);
    std::vector<std::array<Score, std::size(kCuts)>> own(std::size(kMethods));
    for (size_t c = 0; c < std::size(kCuts); ++c) {
      std::vector<Point> below;
      for (const Point& p : points)
        if (flops_of(p) <= highest / kCuts[c] * 1.1) below.push_back(p);
      if (below.size() < 9 || scaling::compute_levels(below).size() < 3) continue;
      for (size_t m = 0; m < std::size(kMethods); ++m) {
        const SizeAt size = kMethods[m].from(below);
        for (const auto& minimum : minima)
          if (minimum.flops > highest / kCuts[c] * (kCuts[c] > 1 ? 1.1 : 0.3)) {
            const Range range = size(minimum.flops);
            own[m][c].add(range, minimum.N, minimum.ln_sd), all[m][c].add(range, minimum.N, minimum.ln_sd);
          }
      }
    }
    print_scores(own);
  }
  fmt::print("\nall levels of all ladders\n");
  print_scores(all);
}

void made_up(int seeds) {
  std::vector<std::array<Score, std::size(kCuts)>> scores(std::size(kMethods));
  for (int seed = 1; seed <= seeds; ++seed) {
    Rng rng(static_cast<uint64_t>(seed), 7);
    scaling::Ladder ladder;
    const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
    ladder.kappa = seed % 2 ? 1 : between(0.5, 1);
    ladder.alpha = between(0.25, 0.45) / ladder.kappa;
    ladder.beta = between(0.25, 0.45) / ladder.kappa;
    // Both terms are of one size near the middle of the ladder, 0.7 sqrt(C / 6) parameters at 1e12 FLOPs.
    const double middle = 2.9e5 * between(0.5, 2), term = between(0.3, 1);
    ladder.A = term * std::pow(middle, ladder.alpha), ladder.B = term * std::pow(1e12 / (6 * 2.9e5), ladder.beta);
    ladder.sizes = 4 + seed % 3, ladder.rungs = 4 + seed % 4;
    const std::vector<Point> points = scaling::make_ladder(ladder, static_cast<uint64_t>(seed));
    const double highest = flops_of(points.back());
    const scaling::Loss truth = [&](double N, double D) {
      return ladder.E +
             std::pow(ladder.A * std::pow(N, -ladder.alpha) + ladder.B * std::pow(D, -ladder.beta), ladder.kappa);
    };
    const auto sixfold = [](double size) { return 6 * size; };
    for (size_t m = 0; m < std::size(kMethods); ++m) {
      const SizeAt size = kMethods[m].from(points);
      for (size_t c = 0; c < std::size(kCuts); ++c) {
        const double flops = highest * kCuts[c];
        scores[m][c].add(size(flops), scaling::best_size(truth, sixfold, flops), 0);
      }
    }
  }
  fmt::print("\nmade-up ladders, k times beyond the highest rung, {} of them\n", seeds);
  print_scores(scores);
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  using namespace flywheel;
  using namespace flywheel::bench;
  try {
    int seeds = 100;
    std::vector<Path> paths;
    for (int a = 1; a < count; ++a) {
      if (std::string_view(arguments[a]) == "--seeds" && a + 1 < count)
        seeds = std::atoi(arguments[++a]);
      else
        paths.emplace_back(arguments[a]);
    }
    public_ladders(paths);
    made_up(seeds);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_optimum: {}\n", e.what());
    return 1;
  }
}
