// Is the local slope d ln L / d ln C changing at the top? The null is the smooth law fitted to all runs; the
// alternative adds a hinge, delta * max(0, ln C - ln C_break), to log loss. The break is not identified under the null,
// so the statistic is the largest over break levels (sup-t, after Andrews 1993 and Hansen 1996), and its distribution
// comes from a parametric bootstrap. A wall must also have been missed by the forecast from below the break. What the
// law cannot express is part of the null: a drift of log loss along ln C, a random walk shared by the runs of a level.
// Refitting the law to each simulated ladder is done to first order: residuals are projected off the law's tangent
// space.
#include "scaling/forecast/wall.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/form.h"

namespace flywheel::scaling {
namespace {

constexpr double kSmoothDriftSd =
    0.004;                           // of log loss per square root of a decade of compute: what smooth ladders show
constexpr double kTopDecades = 1.6;  // a wall is looked for in the last decades only
constexpr int kSimulations = 1000;
constexpr double kFalseAlarm = 0.05;
constexpr size_t kFewestRuns = 8;
constexpr double kLeastDecadesBelow = 1;  // of the bend
constexpr double kPower = 0.8;            // with which the smallest change that is stated would be found

// The hinges, with what a refit of the law could absorb projected out.
struct Hinges {
  Eigen::MatrixXd tangent;  // orthonormal basis of the law's tangent space, (points, rank)
  Eigen::MatrixXd columns;  // (points, breaks)
  std::vector<double> norms;
  std::vector<double> decades_to_end;
  std::vector<size_t> levels;  // of the breaks

  Eigen::VectorXd project(const Eigen::VectorXd& v) const { return v - tangent * (tangent.transpose() * v); }
};

struct Found {
  double statistic = 0, change = 0;
  int break_index = 0;
};

// Largest t over breaks. The noise is estimated beside the best hinge; degrees of freedom are the same for all.
Found sup_t(const Hinges& hinges, const Eigen::VectorXd& residual) {
  Found best;
  best.statistic = -INFINITY;
  const double total = residual.squaredNorm();
  const double freedom = std::max(1.0, static_cast<double>(residual.size() - hinges.tangent.cols() - 1));
  for (Eigen::Index b = 0; b < hinges.columns.cols(); ++b) {
    const double norm = hinges.norms[static_cast<size_t>(b)];
    const double change = hinges.columns.col(b).dot(residual) / (norm * norm);
    const double noise = std::sqrt(std::max(total - change * change * norm * norm, 1e-20) / freedom);
    const double t = change * norm / noise;
    if (t > best.statistic) best = {t, change, static_cast<int>(b)};
  }
  return best;
}

Hinges make_hinges(const Form& form, const Theta& theta, std::span<const Point> points,
                   const std::vector<std::vector<size_t>>& levels, const std::vector<double>& level_ln_c) {
  const auto rows = static_cast<Eigen::Index>(points.size());
  Eigen::MatrixXd jacobian(rows, static_cast<Eigen::Index>(theta.size()));
  double gradient[kMaxParameters];
  for (Eigen::Index i = 0; i < rows; ++i) {
    const Point& p = points[static_cast<size_t>(i)];
    form.log_loss(theta.data(), run_of(p), gradient, nullptr);
    for (Eigen::Index j = 0; j < jacobian.cols(); ++j) jacobian(i, j) = gradient[j];
  }
  Hinges hinges;
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(jacobian);
  qr.setThreshold(1e-9);
  hinges.tangent = qr.householderQ() * Eigen::MatrixXd::Identity(rows, qr.rank());
  std::vector<Eigen::VectorXd> kept;
  for (size_t b = 1; b + 1 < levels.size(); ++b) {
    if ((level_ln_c.back() - level_ln_c[b]) / std::log(10.0) > kTopDecades) continue;
    Eigen::VectorXd hinge = Eigen::VectorXd::Zero(rows);
    for (size_t level = b + 1; level < levels.size(); ++level)
      for (const size_t i : levels[level]) hinge[static_cast<Eigen::Index>(i)] = level_ln_c[level] - level_ln_c[b];
    const double before = hinge.norm();
    hinge = hinges.project(hinge);
    if (hinge.norm() < 1e-3 * before) continue;
    hinges.norms.push_back(hinge.norm());
    hinges.levels.push_back(b);
    hinges.decades_to_end.push_back((level_ln_c.back() - level_ln_c[b]) / std::log(10.0));
    kept.push_back(hinge);
  }
  hinges.columns.resize(rows, static_cast<Eigen::Index>(kept.size()));
  for (size_t b = 0; b < kept.size(); ++b) hinges.columns.col(static_cast<Eigen::Index>(b)) = kept[b];
  return hinges;
}

// The runs that speak about the frontier: near the best of their level. Far-off sizes show the law's misfit, not a
// wall.
std::vector<Point> near_frontier(std::span<const Point> points) {
  constexpr double kExcess = 0.1;  // of log loss
  std::vector<Point> kept;
  for (const std::vector<size_t>& level : compute_levels(points)) {
    double best = INFINITY;
    for (const size_t i : level) best = std::min(best, points[i].L);
    for (const size_t i : level)
      if (std::log(points[i].L / best) <= kExcess) kept.push_back(points[i]);
  }
  return kept;
}

// The best run of each level.
std::vector<Point> frontier(std::span<const Point> points) {
  std::vector<Point> kept;
  for (const std::vector<size_t>& level : compute_levels(points))
    kept.push_back(points[*std::min_element(level.begin(), level.end(),
                                            [&](size_t a, size_t b) { return points[a].L < points[b].L; })]);
  return kept;
}

// Does the top level lie above the 90% interval that the runs up to the break would have forecast? The interval holds
// the law's misfit on public ladders, which residuals inside one ladder cannot show.
bool forecast_is_missed(std::span<const Point> points, const std::vector<std::vector<size_t>>& levels,
                        size_t break_level) {
  std::vector<Point> below;
  for (size_t level = 0; level <= break_level; ++level)
    for (const size_t i : levels[level]) below.push_back(points[i]);
  const Forecaster forecaster(below);
  double measured = INFINITY, high = INFINITY;
  for (const size_t i : levels.back()) {
    measured = std::min(measured, points[i].L);
    high = std::min(high, forecaster.predict(points[i].N, points[i].D).high);
  }
  return measured > high;
}

// Did forecasts hold on the levels up to the break? Where the runs below it were missed as well, the ladder is not one
// that a law of this kind describes, and missing its top says nothing of a wall.
bool forecasts_held_below(std::span<const Point> points, const std::vector<std::vector<size_t>>& levels,
                          size_t break_level) {
  std::vector<Point> below;
  for (size_t level = 0; level <= break_level; ++level)
    for (const size_t i : levels[level]) below.push_back(points[i]);
  const std::vector<BacktestRow> rows = backtest(below, 2);
  const auto outside = std::count_if(rows.begin(), rows.end(), [](const BacktestRow& row) { return !row.inside; });
  return 2 * static_cast<size_t>(outside) <= rows.size();
}

// Slope of ln(compute-optimal loss) at `flops`, by the law, over the last factor of 2.
double frontier_slope(const Fit& fit, const Law& law, double flops) {
  Fit one;
  one.law = law;
  one.flops_rule = fit.flops_rule;
  one.highest_flops = flops;
  return std::log(compute_optimal(one, flops).loss / compute_optimal(one, flops / 2).loss) / std::log(2.0);
}

}  // namespace

Wall wall_test(std::span<const Point> all_points, const FitOptions& options) {
  Wall wall;
  std::vector<Point> points = near_frontier(all_points);
  FitOptions plain = options;
  plain.bootstrap = std::clamp(options.bootstrap, 50, 100);
  Fit fitted = fit(points, plain);
  if (!fitted.identified) {
    // One size a level: the exponents cannot be told apart, but the frontier can still be followed along compute.
    const std::vector<Point> best = frontier(points);
    FitOptions along = plain;
    along.form = "compute";
    if (best.size() >= kFewestRuns)
      if (Fit fit_along = fit(best, along); fit_along.identified) fitted = std::move(fit_along), points = best;
  }
  const std::vector<std::vector<size_t>> levels = compute_levels(points);
  std::vector<double> level_ln_c;
  for (const auto& level : levels) {
    double sum = 0;
    for (const size_t i : level) sum += std::log(flops_of(points[i]));
    level_ln_c.push_back(sum / static_cast<double>(level.size()));
  }
  const double top = std::exp(level_ln_c.back());
  wall.slope = frontier_slope(fitted, fitted.law, top);
  std::vector<double> slopes;
  for (const Law& law : fitted.resamples) slopes.push_back(frontier_slope(fitted, law, top));
  const double span_decades = (level_ln_c.back() - level_ln_c.front()) / std::log(10.0);
  // The law's own spread, and a drift over the last decade that it cannot express.
  const double bootstrap_sd = (quantile(slopes, 0.95) - quantile(slopes, 0.05)) / (2 * kNormal90);
  const double drift_sd = kSmoothDriftSd / std::log(10.0);
  const double half = kNormal90 * std::hypot(bootstrap_sd, drift_sd);
  wall.slope_low = wall.slope - half;
  wall.slope_high = wall.slope + half;
  if (levels.size() < 4 || points.size() < kFewestRuns || !fitted.identified) {
    wall.why = fmt::format(
        "{} compute levels and {} runs: a change of slope needs at least 4 levels and 8 runs that identify "
        "the law",
        levels.size(), points.size());
    return wall;
  }

  const Form& form = *find_form(fitted.law.form);
  const Theta theta = form.internal(fitted.law.parameters);
  const Hinges hinges = make_hinges(form, theta, points, levels, level_ln_c);
  const auto rows = static_cast<Eigen::Index>(points.size());
  Eigen::VectorXd residual(rows);
  std::vector<double> absolute;
  for (Eigen::Index i = 0; i < rows; ++i) {
    const Point& p = points[static_cast<size_t>(i)];
    residual[i] = std::log(p.L) - form.log_loss(theta.data(), run_of(p), nullptr, nullptr);
    absolute.push_back(residual[i]);
  }
  // A bad run is not a break: residuals are pulled in to 4 robust standard deviations.
  const double limit = 4 * std::max(robust_sd(absolute), 1e-5);
  for (Eigen::Index i = 0; i < rows; ++i) residual[i] = std::clamp(residual[i], -limit, limit);
  residual = hinges.project(residual);
  if (hinges.columns.cols() == 0) {
    wall.why = "the law can absorb any change of slope on these levels";
    return wall;
  }
  const Found found = sup_t(hinges, residual);
  const double freedom = std::max(1.0, static_cast<double>(rows - hinges.tangent.cols() - 1));
  const double change_part = found.change * hinges.norms[static_cast<size_t>(found.break_index)];
  const double noise =
      std::max(std::sqrt(std::max(0.0, residual.squaredNorm() - change_part * change_part) / freedom), 1e-5);

  // The break whose power is stated: the one nearest to a decade before the end.
  size_t stated = 0;
  for (size_t b = 1; b < hinges.decades_to_end.size(); ++b)
    if (std::abs(hinges.decades_to_end[b] - 1) < std::abs(hinges.decades_to_end[stated] - 1)) stated = b;
  std::vector<double> statistics, changes;
  for (int s = 0; s < kSimulations; ++s) {
    Rng rng(options.seed, 0x77616c6c0000ULL + static_cast<uint64_t>(s));
    Eigen::VectorXd simulated(rows);
    double drift = 0;
    for (size_t level = 0; level < levels.size(); ++level) {
      if (level > 0)
        drift +=
            kSmoothDriftSd * std::sqrt((level_ln_c[level] - level_ln_c[level - 1]) / std::log(10.0)) * rng.normal();
      for (const size_t i : levels[level]) simulated[static_cast<Eigen::Index>(i)] = drift + noise * rng.normal();
    }
    simulated = hinges.project(simulated);
    const Found one = sup_t(hinges, simulated);
    statistics.push_back(one.statistic);
    const auto column = static_cast<Eigen::Index>(stated);
    changes.push_back(hinges.columns.col(column).dot(simulated) / std::pow(hinges.norms[stated], 2));
  }
  const auto above =
      std::count_if(statistics.begin(), statistics.end(), [&](double t) { return t >= found.statistic; });
  wall.p_value = static_cast<double>(above + 1) / (kSimulations + 1);
  const double change_sd = std::max(robust_sd(changes), noise / hinges.norms[stated]);
  wall.smallest_detectable =
      quantile(statistics, 1 - kFalseAlarm) * noise / hinges.norms[stated] + normal_quantile(kPower) * change_sd;

  const double steepness = std::abs(wall.slope);
  const bool bent = wall.p_value <= kFalseAlarm && found.change > 0.2 * steepness;
  const size_t break_level = hinges.levels[static_cast<size_t>(found.break_index)];
  const double decades_below = (level_ln_c[break_level] - level_ln_c.front()) / std::log(10.0);
  if (bent && !forecast_is_missed(points, levels, break_level)) {
    wall.why = fmt::format(
        "the slope seems to rise by {:.4f} (p = {:.3f}), but the top level lies inside the forecast from "
        "the levels below the bend",
        found.change, wall.p_value);
  } else if (bent && decades_below < kLeastDecadesBelow) {
    wall.why = fmt::format(
        "the slope seems to rise by {:.4f} (p = {:.3f}), but only {:.1f} decades lie below the bend: too few to know "
        "what no bend looks like, since the smallest runs of a ladder obey no law yet",
        found.change, wall.p_value, decades_below);
  } else if (bent && !forecasts_held_below(points, levels, break_level)) {
    wall.why = fmt::format(
        "the slope seems to rise by {:.4f} (p = {:.3f}), but forecasts missed the levels below the bend as well: a law "
        "of this kind does not describe this ladder",
        found.change, wall.p_value);
  } else if (bent) {
    wall.verdict = WallVerdict::kWall;
    wall.why = fmt::format(
        "the slope of ln loss against ln C rises by {:.4f} about {:.1f} decades before the end (p = {:.3f})",
        found.change, hinges.decades_to_end[static_cast<size_t>(found.break_index)], wall.p_value);
  } else if (wall.smallest_detectable > 0.5 * steepness || span_decades < 1.2) {
    wall.why = fmt::format(
        "on {} levels over {:.1f} decades only a change of {:.4f} or more would show; the slope itself is {:.4f}",
        levels.size(), span_decades, wall.smallest_detectable, wall.slope);
  } else {
    wall.verdict = WallVerdict::kNoneSeen;
    wall.why = fmt::format("no change of slope (p = {:.2f}); a change of {:.4f} would have shown, the slope is {:.4f}",
                           wall.p_value, wall.smallest_detectable, wall.slope);
  }
  return wall;
}

}  // namespace flywheel::scaling
