#include "scaling/allocation/rate_rules.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

// A run whose loss is this much above the cell's best, relatively, counts half: far from the optimum a high learning
// rate costs more than a quadratic says.
constexpr double kOfLoss = 0.01;
constexpr double kHuber = 1.5;  // in robust standard deviations
constexpr int kRounds = 12;

struct Axes {
  bool learning_rate = false, batch = false;
  int count() const { return learning_rate + batch; }
  int coefficients() const { return count() == 2 ? 6 : 3; }
};

int distinct(std::span<const SweepRun> runs, double SweepRun::*field) {
  std::vector<double> values;
  for (const SweepRun& run : runs) values.push_back(run.*field);
  std::sort(values.begin(), values.end());
  return static_cast<int>(std::unique(values.begin(), values.end()) - values.begin());
}

// 1, x, y, xx, xy, yy with both axes; 1, x, xx with one.
Eigen::VectorXd features(const Axes& axes, double x, double y) {
  Eigen::VectorXd row(axes.coefficients());
  if (axes.count() == 2)
    row << 1, x, y, x * x, x * y, y * y;
  else
    row << 1, (axes.learning_rate ? x : y), std::pow(axes.learning_rate ? x : y, 2);
  return row;
}

// Weighted least squares with weights that fall for residuals beyond kHuber.
Eigen::VectorXd robust_solve(const Eigen::MatrixXd& rows, const Eigen::VectorXd& y, const Eigen::VectorXd& weights) {
  Eigen::VectorXd robust = Eigen::VectorXd::Ones(y.size()), solution;
  for (int round = 0; round < kRounds; ++round) {
    const Eigen::VectorXd w = (weights.array() * robust.array()).sqrt();
    solution = (w.asDiagonal() * rows).colPivHouseholderQr().solve(w.asDiagonal() * y);
    const Eigen::VectorXd residual = (y - rows * solution).cwiseAbs();
    std::vector<double> near;
    for (Eigen::Index i = 0; i < y.size(); ++i)
      if (weights[i] > 0.2) near.push_back(residual[i]);
    const double scale = std::max(robust_sd(near), 1e-6);
    for (Eigen::Index i = 0; i < y.size(); ++i)
      robust[i] = std::min(1.0, kHuber * scale / std::max(residual[i], 1e-12));
  }
  return solution;
}

RateCell solve_cell(std::span<const SweepRun> runs) {
  RateCell cell;
  cell.N = runs[0].N, cell.D = runs[0].D, cell.runs = static_cast<int>(runs.size());
  const Axes axes{distinct(runs, &SweepRun::learning_rate) >= 3, distinct(runs, &SweepRun::batch) >= 3};
  if (axes.count() == 0 || cell.runs < axes.coefficients() + 2) {
    cell.trouble = fmt::format("{} runs, expected at least {} with 3 or more learning rates or batch sizes", cell.runs,
                               axes.coefficients() + 2);
    return cell;
  }
  const auto best = std::min_element(runs.begin(), runs.end(), [](auto& a, auto& b) { return a.loss < b.loss; });
  const auto log_or_zero = [](double v) { return v > 0 ? std::log(v) : 0.0; };
  const double x0 = log_or_zero(best->learning_rate), y0 = log_or_zero(best->batch);
  const auto n = static_cast<Eigen::Index>(runs.size());
  Eigen::MatrixXd rows(n, axes.coefficients());
  Eigen::VectorXd losses(n), weights(n);
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    const SweepRun& run = runs[static_cast<size_t>(i)];
    const double x = log_or_zero(run.learning_rate) - x0, y = log_or_zero(run.batch) - y0;
    x_low = std::min(x_low, x), x_high = std::max(x_high, x), y_low = std::min(y_low, y), y_high = std::max(y_high, y);
    rows.row(i) = features(axes, x, y).transpose();
    losses[i] = std::log(run.loss / best->loss);
    weights[i] = 1 / (1 + std::pow(losses[i] / kOfLoss, 2));
  }
  const Eigen::VectorXd c = robust_solve(rows, losses, weights);
  double x = 0, y = 0;
  if (axes.count() == 2) {
    cell.curvature = {2 * c[3], c[4], 2 * c[5]};
    const double determinant = 4 * c[3] * c[5] - c[4] * c[4];
    if (!(c[3] > 0) || !(determinant > 0)) {
      cell.trouble = "no minimum: the losses do not curve upwards in both directions";
      return cell;
    }
    x = (c[4] * c[2] - 2 * c[5] * c[1]) / determinant;
    y = (c[4] * c[1] - 2 * c[3] * c[2]) / determinant;
  } else {
    (axes.learning_rate ? cell.curvature[0] : cell.curvature[2]) = 2 * c[2];
    if (!(c[2] > 0)) {
      cell.trouble = "no minimum: the losses do not curve upwards";
      return cell;
    }
    (axes.learning_rate ? x : y) = -c[1] / (2 * c[2]);
  }
  cell.learning_rate = axes.learning_rate ? std::exp(x + x0) : 0;
  cell.batch = axes.batch ? std::exp(y + y0) : 0;
  cell.loss = best->loss * std::exp(features(axes, x, y).dot(c));
  // The best run lies at 0. At an end of what was tried, a wall of diverged runs on one side makes a minimum of its
  // own.
  const bool at_end =
      (axes.learning_rate && (x_low == 0 || x_high == 0)) || (axes.batch && (y_low == 0 || y_high == 0));
  if (at_end)
    cell.trouble = "the best run has the lowest or highest learning rate or batch that was tried";
  else if (x < x_low || x > x_high || y < y_low || y > y_high)
    cell.trouble = fmt::format("its minimum (learning rate {:.3g}, batch {:.3g}) lies outside what was sampled",
                               cell.learning_rate, cell.batch);
  return cell;
}

// Exponents of D and N that Li et al. 2025 publish.
struct Exponents {
  double d, n;
};
constexpr Exponents kPublishedRate{0.307, -0.713}, kPublishedBatch{0.571, 0};

// The variance of slopes around `guess`, over that of the residuals, under which `y` is likeliest: large where the data
// contradict the guess clearly. REQUIRES centred columns in `x`.
double slope_variance_ratio(const Eigen::MatrixXd& x, Eigen::VectorXd y, const Eigen::VectorXd& guess) {
  y -= x * guess;
  y.array() -= y.mean();
  const auto n = static_cast<double>(y.size());
  double best = 0, best_evidence = -INFINITY;
  for (double ratio = 1e-3; ratio < 1e7; ratio *= 2) {
    const Eigen::MatrixXd v = Eigen::MatrixXd::Identity(y.size(), y.size()) + ratio * x * x.transpose();
    const Eigen::LLT<Eigen::MatrixXd> llt(v);
    const double variance = std::max(y.dot(llt.solve(y)) / (n - 1), 1e-12);
    double evidence = -0.5 * (n - 1) * std::log(variance);
    for (Eigen::Index i = 0; i < y.size(); ++i) evidence -= std::log(llt.matrixLLT()(i, i));
    if (evidence > best_evidence) best = ratio, best_evidence = evidence;
  }
  return best;
}

std::vector<std::vector<SweepRun>> cells_of(std::span<const SweepRun> runs) {
  std::map<std::pair<double, double>, std::vector<SweepRun>> cells;
  for (size_t i = 0; i < runs.size(); ++i) {
    const SweepRun& run = runs[i];
    for (const double value : {run.N, run.D, run.loss})
      if (!std::isfinite(value) || value <= 0)
        throw_bad_input("run {}: size, tokens and loss must be finite and above 0, found {}", i + 1, value);
    for (const double value : {run.learning_rate, run.batch})
      if (!std::isfinite(value) || value < 0)
        throw_bad_input("run {}: learning rate and batch must be finite and above 0, found {}", i + 1, value);
    cells[{run.N, run.D}].push_back(run);
  }
  const bool has_rates =
      std::any_of(runs.begin(), runs.end(), [](const SweepRun& run) { return run.learning_rate > 0; });
  const bool has_batches = std::any_of(runs.begin(), runs.end(), [](const SweepRun& run) { return run.batch > 0; });
  std::vector<std::vector<SweepRun>> list;
  for (auto& [key, members] : cells) {
    std::erase_if(members, [&](const SweepRun& run) {
      return (has_rates && run.learning_rate == 0) || (has_batches && run.batch == 0);
    });
    if (!members.empty()) list.push_back(std::move(members));
  }
  return list;
}

}  // namespace

double RateCell::excess(double at_learning_rate, double at_batch) const {
  const double x = learning_rate > 0 ? std::log(at_learning_rate / learning_rate) : 0;
  const double y = batch > 0 ? std::log(at_batch / batch) : 0;
  return std::expm1(0.5 * (curvature[0] * x * x + 2 * curvature[1] * x * y + curvature[2] * y * y));
}

Range RateRule::at(double N, double D) const {
  const double value = coefficient.value * std::pow(N, n.value) * std::pow(D, d.value);
  std::vector<double> drawn;
  for (const auto& r : resamples) drawn.push_back(std::exp(r[0] + r[1] * std::log(N) + r[2] * std::log(D)));
  if (drawn.empty()) return {value, value, value};
  return {value, std::min(value, quantile(drawn, 0.05)), std::max(value, quantile(drawn, 0.95))};
}

RateRule power_rule(std::span<const RateCell> cells, bool of_learning_rate, bool of_size) {
  RateRule rule;
  std::vector<const RateCell*> used;
  for (const RateCell& cell : cells)
    if (cell.trouble.empty() && (of_learning_rate ? cell.learning_rate : cell.batch) > 0) used.push_back(&cell);
  const Eigen::Index columns = of_size ? 3 : 2;
  const auto n = static_cast<Eigen::Index>(used.size());
  if (n < columns + 1) {
    rule.missing =
        fmt::format("{} (N, D) with a minimum inside the values tried, expected at least {}", n, columns + 1);
    return rule;
  }
  // Centred, so that a power law that the cells cannot tell is seen as rank deficient.
  double mean_n = 0, mean_d = 0;
  for (const RateCell* cell : used)
    mean_n += std::log(cell->N) / static_cast<double>(n), mean_d += std::log(cell->D) / static_cast<double>(n);
  Eigen::MatrixXd rows(n, columns);
  Eigen::VectorXd y(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const RateCell& cell = *used[static_cast<size_t>(i)];
    rows(i, 0) = 1;
    rows(i, 1) = std::log(cell.D) - mean_d;
    if (of_size) rows(i, 2) = std::log(cell.N) - mean_n;
    y[i] = std::log(of_learning_rate ? cell.learning_rate : cell.batch);
  }
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(rows);
  qr.setThreshold(0.02);
  if (qr.rank() < columns) {
    rule.missing = of_size ? "sizes and lengths do not vary apart from each other" : "lengths do not vary";
    return rule;
  }
  const Exponents published = of_learning_rate ? kPublishedRate : kPublishedBatch;
  Eigen::VectorXd guess(columns - 1);
  guess(0) = published.d;
  if (of_size) guess(1) = published.n;
  const double ratio = slope_variance_ratio(rows.rightCols(columns - 1), y, guess);
  // One more row for each slope: the published one, with the error that the data grant it.
  Eigen::MatrixXd shrunk = Eigen::MatrixXd::Zero(n + columns - 1, columns);
  Eigen::VectorXd target(n + columns - 1);
  shrunk.topRows(n) = rows;
  shrunk.bottomRightCorner(columns - 1, columns - 1).diagonal().setConstant(1 / std::sqrt(ratio));
  target << y, guess / std::sqrt(ratio);
  const Eigen::VectorXd c = robust_solve(shrunk, target, Eigen::VectorXd::Ones(target.size()));
  rule.d.value = c[1];
  rule.n.value = of_size ? c[2] : 0;
  rule.coefficient.value = std::exp(c[0] - rule.d.value * mean_d - rule.n.value * mean_n);
  return rule;
}

RateRules fit_rate_rules(std::span<const SweepRun> runs, int resamples, uint64_t seed) {
  RateRules rules;
  const std::vector<std::vector<SweepRun>> groups = cells_of(runs);
  for (const auto& group : groups) rules.cells.push_back(solve_cell(group));
  struct Wanted {
    RateRule* rule;
    bool of_learning_rate, of_size;
  };
  const Wanted wanted[] = {{&rules.learning_rate, true, true}, {&rules.batch, false, false}};
  for (const Wanted& w : wanted) *w.rule = power_rule(rules.cells, w.of_learning_rate, w.of_size);
  for (int r = 0; r < resamples; ++r) {
    Rng rng(seed, static_cast<uint64_t>(r));
    std::vector<RateCell> cells;
    for (size_t i = 0; i < groups.size(); ++i) {
      const std::vector<SweepRun>& group = groups[rng.below(groups.size())];
      std::vector<SweepRun> drawn;
      for (size_t k = 0; k < group.size(); ++k) drawn.push_back(group[rng.below(group.size())]);
      cells.push_back(solve_cell(drawn));
    }
    for (const Wanted& w : wanted) {
      if (!w.rule->missing.empty()) continue;
      const RateRule rule = power_rule(cells, w.of_learning_rate, w.of_size);
      if (rule.missing.empty())
        w.rule->resamples.push_back({std::log(rule.coefficient.value), rule.n.value, rule.d.value});
    }
  }
  for (const Wanted& w : wanted) {
    for (size_t k = 0; k < 3; ++k) {
      Range& range = k == 0 ? w.rule->coefficient : k == 1 ? w.rule->n : w.rule->d;
      std::vector<double> drawn;
      for (const auto& r : w.rule->resamples) drawn.push_back(k == 0 ? std::exp(r[0]) : r[k]);
      range.low = drawn.empty() ? range.value : quantile(drawn, 0.025);
      range.high = drawn.empty() ? range.value : quantile(drawn, 0.975);
    }
  }
  return rules;
}

}  // namespace flywheel::scaling
