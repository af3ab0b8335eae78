#include "scaling/allocation/approaches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/allocation/allocation.h"
#include "scaling/allocation/isoflop.h"
#include "scaling/allocation/isoflop_akima.h"
#include "scaling/allocation/levels.h"
#include "scaling/allocation/line.h"

namespace flywheel::scaling {
namespace {

constexpr const char* kSharedBiases =
    "N without the output head, or FLOPs without it, at small sizes raises a (Pearce and Song 2024; Porian et al. "
    "2024); "
    "a warm-up longer than short runs can bear and one learning rate for all sizes do too (Porian et al. 2024)";
constexpr const char* kEnvelopeBiases =
    "the envelope favours sizes that were sampled and lucky runs; runs cut short of their schedule's end read too high "
    "(Hoffmann et al. 2022)";
constexpr const char* kParabolaBiases =
    "a parabola is a second-order approximation: wide grids, grids off the optimum and alpha unlike beta bias it even "
    "without noise (Czech et al. 2026)";
constexpr const char* kInterpolationBiases =
    "no shape assumed, so noise of the sizes next to the minimum moves it; as with parabolas, sizes must reach past "
    "the minimum on both sides";
constexpr const char* kParametricBiases =
    "depends on the form and on every run far from the frontier; stopping early and rounding gave Hoffmann et al. 2022 "
    "intervals far too narrow and an a that their other two approaches did not support (Besiroglu et al. 2024)";

Approach begin(const char* name, const char* biases) {
  Approach approach;
  approach.name = name;
  approach.biases = fmt::format("{}; {}", biases, kSharedBiases);
  return approach;
}

// Half of a two-sided 95% interval in standard deviations.
double t95(int freedom) {
  return freedom < 1 ? INFINITY : student_quantile(0.975, freedom);
}

// Wider levels are no isoFLOP curve: an interpolation would follow their differences in compute.
constexpr double kWidestLevel = 1.25;

struct Columns {
  std::vector<double> x, y, weights;
};

Columns inner_minima(const std::vector<LevelMinimum>& minima) {
  Columns columns;
  for (const LevelMinimum& m : minima) {
    if (!m.inner) continue;
    columns.x.push_back(std::log(m.flops));
    columns.y.push_back(std::log(m.N));
    columns.weights.push_back(1 / (m.ln_sd * m.ln_sd));
  }
  return columns;
}

// Runs that no run of as much or less compute beats, as ln C and ln N.
Columns envelope(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return flops_of(a) != flops_of(b) ? flops_of(a) < flops_of(b) : a.L < b.L;
  });
  Columns columns;
  double best = INFINITY;
  for (const Point& p : points) {
    if (p.L >= best) continue;
    best = p.L;
    columns.x.push_back(std::log(flops_of(p)));
    columns.y.push_back(std::log(p.N));
    columns.weights.push_back(1);
  }
  return columns;
}

bool spans(const Columns& columns) {
  return columns.x.size() >= 3 && columns.x.back() - columns.x.front() > std::log(2.0);
}

void take(const Line& line, Approach& approach) {
  approach.a = line.slope;
  approach.ln_coefficient = line.intercept;
}

void take_interval(const std::vector<double>& slopes, Approach& approach) {
  approach.low = slopes.empty() ? approach.a : quantile(slopes, 0.025);
  approach.high = slopes.empty() ? approach.a : quantile(slopes, 0.975);
}

// A power law beyond these says that more compute wants smaller models, or fewer tokens.
void settle(Approach& approach) {
  const double low = approach.low = std::min(approach.low, approach.a);
  const double high = approach.high = std::max(approach.high, approach.a);
  if (approach.a <= 0 || approach.a >= 1)
    approach.missing = fmt::format("the exponent comes out as {:.2f}, expected between 0 and 1", approach.a);
  else if (high - low > 1)
    approach.missing = fmt::format("the exponent is known no better than {:.2g} to {:.2g}", low, high);
}

std::string too_few_levels(size_t inner, size_t levels) {
  return fmt::format(
      "{} of {} compute levels have a minimum inside the sizes sampled, expected at least 3: add levels, or sizes past "
      "the minimum on both sides, at the same FLOPs",
      inner, levels);
}

}  // namespace

double Approach::size_at(double flops) const {
  return std::exp(ln_coefficient + a * std::log(flops));
}

Approach envelope_approach(std::span<const Point> points, const ApproachOptions& options) {
  Approach result = begin("1 envelope", kEnvelopeBiases);
  result.follows_samples = true;
  const std::vector<Point> all(points.begin(), points.end());
  const Columns best = envelope(all);
  result.used = static_cast<int>(best.x.size());
  if (!spans(best)) {
    result.missing =
        fmt::format("{} runs on the envelope, expected at least 3 over a factor of 2 in FLOPs", best.x.size());
    return result;
  }
  take(weighted_line(best.x, best.y, best.weights), result);
  std::vector<double> slopes;
  for (int r = 0; r < options.resamples; ++r) {
    Rng rng(options.seed, static_cast<uint64_t>(r));
    std::vector<Point> drawn;
    for (size_t i = 0; i < all.size(); ++i) drawn.push_back(all[rng.below(all.size())]);
    const Columns columns = envelope(std::move(drawn));
    if (spans(columns)) slopes.push_back(weighted_line(columns.x, columns.y, columns.weights).slope);
  }
  take_interval(slopes, result);
  settle(result);
  return result;
}

Approach parabola_approach(std::span<const Point> points, const ApproachOptions& options) {
  Approach result = begin("2 parabolas", kParabolaBiases);
  for (const Level& level : levels_of(points)) {
    const IsoflopMinimum minimum = isoflop_minimum(level.points, options.seed);
    LevelMinimum row{level.flops, minimum.N, 0, !minimum.at_edge};
    // No better known than a small part of the spacing: three sizes leave a parabola no residuals.
    row.ln_sd = std::max(std::log(minimum.N_high / minimum.N_low) / (2 * kNormal90), 0.02);
    result.minima.push_back(row);
  }
  const Columns columns = inner_minima(result.minima);
  result.used = static_cast<int>(columns.x.size());
  if (!spans(columns)) {
    result.missing = too_few_levels(columns.x.size(), result.minima.size());
    return result;
  }
  const Line line = weighted_line(columns.x, columns.y, columns.weights);
  take(line, result);
  result.low = result.a - t95(line.freedom) * line.slope_sd;
  result.high = result.a + t95(line.freedom) * line.slope_sd;
  settle(result);
  return result;
}

Approach interpolation_approach(std::span<const Point> points, const ApproachOptions& options) {
  Approach result = begin("2 interpolation", kInterpolationBiases);
  AkimaOptions akima;
  akima.resamples = options.resamples;
  akima.noise_sd = options.noise_sd;
  std::vector<std::vector<double>> resampled;
  for (const Level& level : levels_of(points)) {
    akima.seed = options.seed + 1000003 * result.minima.size();
    AkimaMinimum minimum;
    if (level.spread <= kWidestLevel) minimum = akima_minimum(level.points, akima);
    result.minima.push_back({level.flops, minimum.N, minimum.ln_sd, minimum.N > 0});
    if (minimum.N > 0) resampled.push_back(std::move(minimum.ln_sizes));
  }
  Columns columns = inner_minima(result.minima);
  result.used = static_cast<int>(columns.x.size());
  if (!spans(columns)) {
    result.missing = too_few_levels(columns.x.size(), result.minima.size());
    return result;
  }
  take(weighted_line(columns.x, columns.y, columns.weights), result);
  size_t count = SIZE_MAX;
  for (const auto& sizes : resampled) count = std::min(count, sizes.size());
  std::vector<double> slopes;
  for (size_t r = 0; r < count; ++r) {
    for (size_t i = 0; i < resampled.size(); ++i) columns.y[i] = resampled[i][r];
    slopes.push_back(weighted_line(columns.x, columns.y, columns.weights).slope);
  }
  take_interval(slopes, result);
  settle(result);
  return result;
}

Approach parametric_approach(const Fit& fit) {
  Approach result = begin("3 parametric", kParametricBiases);
  result.used = fit.law.points;
  if (fit.law.form == "compute" || fit.law.form == "broken") {
    result.missing = fmt::format("the form {} looks at compute alone", fit.law.form);
    return result;
  }
  if (!fit.identified) {
    result.missing = fit.warnings.empty() ? "the runs cannot tell the exponents apart" : fit.warnings.front();
    return result;
  }
  const auto per_token = [&](double N) { return fit.flops_rule.per_token(N); };
  constexpr double kStep = 2;  // either way in compute
  const auto line_of = [&](const Law& law) {
    const Loss loss = loss_of(law);
    const double low = std::log(best_size(loss, per_token, fit.highest_flops / kStep));
    const double high = std::log(best_size(loss, per_token, fit.highest_flops * kStep));
    Line line;
    line.slope = (high - low) / (2 * std::log(kStep));
    line.intercept = 0.5 * (high + low) - line.slope * std::log(fit.highest_flops);
    return line;
  };
  const double best = best_size(loss_of(fit.law), per_token, fit.highest_flops);
  if (best < 2 || 2 * per_token(best) > fit.highest_flops) {
    result.missing = fmt::format("the form {} has no best size at {:.3g} FLOPs", fit.law.form, fit.highest_flops);
    return result;
  }
  take(line_of(fit.law), result);
  std::vector<double> slopes;
  for (const Law& law : fit.resamples) slopes.push_back(line_of(law).slope);
  take_interval(slopes, result);
  settle(result);
  return result;
}

}  // namespace flywheel::scaling
