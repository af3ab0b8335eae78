#include "search/replay/landscape.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

namespace flywheel::search {
namespace {

constexpr double kBowl = 0.03;     // excess of ln loss up to which rows belong to the bowl
constexpr double kLeastSd = 0.06;  // of a predicted centre, in units: never surer than half a step of a usual grid
constexpr double kRidge = 1e-3;    // of slopes: few sizes say little about them

Eigen::VectorXd bowl_features(const std::vector<double>& units, const std::vector<size_t>& fields) {
  const size_t n = fields.size();
  Eigen::VectorXd x(static_cast<Eigen::Index>(1 + n + n * (n + 1) / 2));
  Eigen::Index at = 0;
  x(at++) = 1;
  for (const size_t f : fields) x(at++) = units[f];
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) x(at++) = units[fields[i]] * units[fields[j]];
  return x;
}

}  // namespace

std::optional<Landscape> landscape_of(const workload::SearchSpace& space, const ReplayGrid& grid) {
  if (!grid.parameters || !grid.tokens) return std::nullopt;
  std::vector<size_t> fields;
  for (size_t i = 0; i < space.fields().size(); ++i)
    if (space.fields()[i].is_numeric()) fields.push_back(i);
  double best = std::numeric_limits<double>::infinity();
  for (const ReplayRow& row : grid.rows)
    if (row.loss && *row.loss > 0) best = std::min(best, *row.loss);
  std::vector<std::pair<std::vector<double>, double>> bowl;
  for (const ReplayRow& row : grid.rows) {
    if (!row.loss || *row.loss <= 0) continue;
    const double excess = std::log(*row.loss / best);
    std::vector<double> units = space.units(row.values);
    const bool whole = std::none_of(fields.begin(), fields.end(), [&](size_t f) { return std::isnan(units[f]); });
    if (excess <= kBowl && whole) bowl.emplace_back(std::move(units), excess);
  }
  const auto n = static_cast<Eigen::Index>(fields.size());
  const Eigen::Index columns = 1 + n + n * (n + 1) / 2;
  const auto rows = static_cast<Eigen::Index>(bowl.size());
  if (n == 0 || rows < columns + 2) return std::nullopt;
  Eigen::MatrixXd x(rows, columns);
  Eigen::VectorXd y(rows);
  for (Eigen::Index r = 0; r < rows; ++r) {
    const auto& [units, excess] = bowl[static_cast<size_t>(r)];
    // Rows near the bottom say where it is.
    const double weight = 1 / (1 + excess / 0.003);
    x.row(r) = weight * bowl_features(units, fields).transpose();
    y(r) = weight * excess;
  }
  const Eigen::VectorXd c = x.colPivHouseholderQr().solve(y);
  Eigen::MatrixXd hessian(n, n);
  Eigen::Index at = 1 + n;
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = i; j < n; ++j, ++at) hessian(i, j) = hessian(j, i) = (i == j ? 2 : 1) * c(at);
  Eigen::LLT<Eigen::MatrixXd> llt(hessian);
  if (llt.info() != Eigen::Success) return std::nullopt;
  const Eigen::VectorXd centre = llt.solve(-c.segment(1, n));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Landscape found{std::log(*grid.parameters), std::log(*grid.tokens), {}, {}};
  found.centre.assign(space.fields().size(), nan);
  found.curvature.assign(space.fields().size(), nan);
  for (Eigen::Index i = 0; i < n; ++i) {
    found.centre[fields[static_cast<size_t>(i)]] = std::clamp(centre(i), 0.0, 1.0);
    found.curvature[fields[static_cast<size_t>(i)]] = hessian(i, i) / 2;
  }
  return found;
}

namespace {

// Prediction of a centre by ridge regression on ln N and ln D.
double predict_centre(const std::vector<Landscape>& known, size_t field, double log_n, double log_d,
                      std::optional<size_t> left_out) {
  double mean_n = 0, mean_d = 0, mean_y = 0, count = 0;
  for (size_t i = 0; i < known.size(); ++i) {
    if (left_out == i) continue;
    mean_n += known[i].log_parameters, mean_d += known[i].log_tokens, mean_y += known[i].centre[field], count += 1;
  }
  mean_n /= count, mean_d /= count, mean_y /= count;
  Eigen::Matrix2d a = Eigen::Matrix2d::Zero();
  Eigen::Vector2d b = Eigen::Vector2d::Zero();
  for (size_t i = 0; i < known.size(); ++i) {
    if (left_out == i) continue;
    const Eigen::Vector2d x(known[i].log_parameters - mean_n, known[i].log_tokens - mean_d);
    a += x * x.transpose();
    b += x * (known[i].centre[field] - mean_y);
  }
  a.diagonal().array() += kRidge * count;
  const Eigen::Vector2d slope = a.ldlt().solve(b);
  return mean_y + slope.dot(Eigen::Vector2d(log_n - mean_n, log_d - mean_d));
}

}  // namespace

std::optional<LandscapePrior> landscape_prior(const std::vector<Landscape>& known, double log_parameters,
                                              double log_tokens) {
  if (known.empty()) return std::nullopt;
  const size_t fields = known.front().centre.size();
  LandscapePrior prior;
  for (size_t f = 0; f < fields; ++f) {
    const bool numeric = !std::isnan(known.front().centre[f]);
    double curvature = 0, squares = 0;
    for (size_t i = 0; numeric && i < known.size(); ++i) {
      curvature += known[i].curvature[f] / static_cast<double>(known.size());
      if (known.size() < 2) continue;
      const double guess = predict_centre(known, f, known[i].log_parameters, known[i].log_tokens, i);
      squares += std::pow(known[i].centre[f] - guess, 2) / static_cast<double>(known.size());
    }
    // A single sweep elsewhere says little about here.
    const double sd = known.size() < 2 ? 0.2 : std::max(kLeastSd, std::sqrt(squares));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    prior.centre.push_back(
        numeric ? std::clamp(predict_centre(known, f, log_parameters, log_tokens, std::nullopt), 0.0, 1.0) : nan);
    prior.centre_sd.push_back(sd);
    prior.curvature.push_back(curvature);
  }
  return prior;
}

std::optional<LandscapePrior> landscape_of_others(const ReplayTable& table, const ReplayGrid& grid) {
  if (!grid.parameters || !grid.tokens) return std::nullopt;
  std::vector<Landscape> known;
  for (const ReplayGrid& other : table.grids) {
    if (!other.parameters || *other.parameters == *grid.parameters) continue;
    if (auto found = landscape_of(*table.space, other)) known.push_back(std::move(*found));
  }
  return landscape_prior(known, std::log(*grid.parameters), std::log(*grid.tokens));
}

}  // namespace flywheel::search
