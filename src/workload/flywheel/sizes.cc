#include "workload/flywheel/sizes.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "protocol/segments.h"
#include "recipe/size.h"
#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::workload {
namespace {

constexpr double kGridOrigin = 1e4;  // matrix parameters of one grid point

// The family's sizes up to `high` parameters; where `on_grid`, only those nearest to a point of the geometric grid.
std::vector<recipe::Size> ladder_sizes(const recipe::Recipe& recipe, double high, bool on_grid) {
  const std::vector<recipe::Size> all = family(recipe, 1, high);
  if (!on_grid) return all;
  std::vector<double> logs;
  for (const recipe::Size& size : all)
    logs.push_back(std::log(static_cast<double>(count(recipe, size).matrix_parameters)));
  std::vector<recipe::Size> sizes;
  size_t last = all.size();
  const double step = std::log(kSizeSpacing);
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

}  // namespace

std::vector<SizedRun> isoflop_runs_of(const recipe::Recipe& recipe, double flops, double centre, int count_wanted,
                                      double max_tokens) {
  const auto wanted = static_cast<size_t>(count_wanted);
  std::vector<SizedRun> runs;
  // Upward until there are enough sizes above the centre; farther where the corpus forbids the smaller ones.
  for (double reach = std::pow(kSizeSpacing, count_wanted + 2); reach < 1e5; reach *= 8) {
    runs.clear();
    for (const recipe::Size& size : ladder_sizes(recipe, std::max(centre, kGridOrigin) * reach, wanted > 1)) {
      SizedRun run = sized_run(recipe, recipe::with_flops(recipe, size, flops));
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

double evaluation_flops_per_scored(const recipe::Recipe& recipe, const recipe::Size& size) {
  return count(recipe, size).forward_flops_per_token * protocol::tokens_read_per_scored(size.context);
}

}  // namespace flywheel::workload
