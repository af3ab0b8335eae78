#include "search/surrogate.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace flywheel::search {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

// The bowl without a prior: excess of ln loss at the edge of one field's range, in spaces of a single field. More
// fields matter less each.
constexpr double kEdgeExcess = 0.015;
constexpr double kCentreSd = 0.2;     // of the best point, in units
constexpr double kWigglePart = 0.35;  // sd of what is no bowl, over the bowl's excess at the edges
// Of what no bowl and no process says, over the bowl's excess at the edges, before data tell: among many fields, where
// runs lie far apart, much of what a field does between them looks like noise.
constexpr double kNoisePartFewFields = 0.02, kNoisePartManyFields = 0.2;
constexpr double kScaleLength = 5.0;     // in ln FLOPs: a factor of 150
constexpr double kSimilarLength = 0.15;  // in units, times the root of the number of fields
constexpr double kJitter = 1e-10;

// Settings in logs; priors are normal around zero shift.
enum Setting { kAmplitude, kWiggle, kNoise, kCommon };  // then one length per field
constexpr double kSettingSd[kCommon] = {1.0, 0.7, 1.0};
constexpr double kLengthSd = 0.6;

}  // namespace

// Points as columns, in coordinates in which all covariances are matrix products.
struct Block {
  Matrix place;  // (coordinates, points): Euclidean distance is the distance of the process, lengths left out
  Matrix bowl;   // (fields, points): units from the centre; 0 where there is none
  Vector scale;  // (points)
};

struct Surrogate::State {
  std::vector<size_t> choices;  // per field; 0: numeric
  std::vector<double> centre, slope_sd, curvature, length0;
  std::vector<size_t> coordinate_field;
  bool informed = false;  // the centre comes from earlier searches
  double base_noise = 1e-8;
  std::vector<double> settings;  // shifts in logs
  size_t next_setting = 0;
  double direction = 0.4;
  std::vector<Observation> seen;
  Block block;              // of seen
  Matrix factor;            // lower triangle of the covariance's Cholesky factor
  Vector weights, forward;  // covariance^-1 residual; factor^-1 residual
  double density = -std::numeric_limits<double>::infinity();

  double amplitude() const { return std::exp(settings[kAmplitude]); }
  double edge() const {
    double total = 0;
    for (const double c : curvature) total += 0.25 * c;
    return std::max(total, kEdgeExcess);
  }

  // A missing number lies in the middle, beside the line of those that exist; a missing choice is none of the corners.
  void place_point(const std::vector<double>& units, double log_scale, Block& to, Eigen::Index column) const {
    Eigen::Index at = 0;
    for (size_t i = 0; i < units.size(); ++i) {
      const bool none = std::isnan(units[i]);
      if (choices[i] == 0) {
        to.place(at++, column) = none ? 0.5 : units[i];
        to.place(at++, column) = none ? 0.5 : 0;
      } else {
        for (size_t c = 0; c < choices[i]; ++c)
          to.place(at++, column) = !none && static_cast<size_t>(units[i]) == c ? 0.5 / std::sqrt(2.0) : 0;
      }
      to.bowl(static_cast<Eigen::Index>(i), column) = none || std::isnan(centre[i]) ? 0 : units[i] - centre[i];
    }
    to.scale(column) = log_scale;
  }

  Block empty_block(size_t points) const {
    const auto n = static_cast<Eigen::Index>(points);
    return {Matrix(static_cast<Eigen::Index>(coordinate_field.size()), n),
            Matrix(static_cast<Eigen::Index>(choices.size()), n), Vector(n)};
  }

  Block place_all(const std::vector<std::vector<double>>& units, double log_scale) const {
    Block block_of = empty_block(units.size());
    for (size_t i = 0; i < units.size(); ++i) place_point(units[i], log_scale, block_of, static_cast<Eigen::Index>(i));
    return block_of;
  }

  static double matern(double r2) {
    const double x = std::sqrt(5 * std::max(0.0, r2));
    return (1 + x + x * x / 3) * std::exp(-x);
  }

  double wiggle_variance() const { return std::pow(kWigglePart * edge() * std::exp(settings[kWiggle]), 2); }

  Vector means(const Block& a) const {
    const Eigen::Map<const Vector> c(curvature.data(), static_cast<Eigen::Index>(curvature.size()));
    return amplitude() * (a.bowl.array().square().matrix().transpose() * c);
  }

  Vector inverse_lengths() const {
    Vector inverse(static_cast<Eigen::Index>(coordinate_field.size()));
    for (size_t k = 0; k < coordinate_field.size(); ++k)
      inverse(static_cast<Eigen::Index>(k)) =
          1 / (length0[coordinate_field[k]] * std::exp(settings[kCommon + coordinate_field[k]]));
    return inverse;
  }

  // (points of a, points of b).
  Matrix covariances(const Block& a, const Block& b) const {
    const auto fields = static_cast<Eigen::Index>(curvature.size());
    const Eigen::Map<const Vector> c(curvature.data(), fields), slope(slope_sd.data(), fields);
    const Vector inverse = inverse_lengths();
    const Matrix pa = inverse.asDiagonal() * a.place, pb = inverse.asDiagonal() * b.place;
    const Matrix linear = a.bowl.transpose() * slope.array().square().matrix().asDiagonal() * b.bowl;
    const Matrix quadratic = a.bowl.transpose() * c.asDiagonal() * b.bowl;
    Matrix k = -2 * pa.transpose() * pb;  // squared distances
    k.colwise() += pa.colwise().squaredNorm().transpose();
    k.rowwise() += pb.colwise().squaredNorm();
    const double amp2 = std::pow(amplitude(), 2), constant = edge() * edge(), wiggle = wiggle_variance();
    for (Eigen::Index j = 0; j < k.cols(); ++j)
      for (Eigen::Index i = 0; i < k.rows(); ++i) {
        const double apart = std::abs(a.scale(i) - b.scale(j));
        const double fade = apart > 0 ? std::exp(-apart / kScaleLength) : 1;
        const double bowl = linear(i, j) + 0.25 * quadratic(i, j) * quadratic(i, j);
        k(i, j) = amp2 * (constant + (bowl + wiggle * matern(k(i, j))) * fade);
      }
    return k;
  }

  // Of each point with itself at another scale.
  Vector own_covariances(const Block& a, double other_scale) const {
    const auto fields = static_cast<Eigen::Index>(curvature.size());
    const Eigen::Map<const Vector> c(curvature.data(), fields), slope(slope_sd.data(), fields);
    const Matrix squares = a.bowl.array().square();
    const Vector linear = squares.transpose() * slope.array().square().matrix();
    const Vector quadratic = squares.transpose() * c;
    const double amp2 = std::pow(amplitude(), 2), constant = edge() * edge(), wiggle = wiggle_variance();
    Vector k(a.scale.size());
    for (Eigen::Index i = 0; i < k.size(); ++i)
      k(i) = amp2 * (constant + (linear(i) + 0.25 * quadratic(i) * quadratic(i) + wiggle) *
                                    std::exp(-std::abs(a.scale(i) - other_scale) / kScaleLength));
    return k;
  }

  double noise(const Observation& o) const {
    return o.variance + base_noise * std::exp(2 * settings[kNoise]) * amplitude() * amplitude();
  }

  double log_prior() const {
    double sum = 0;
    for (size_t i = 0; i < settings.size(); ++i) {
      const double z = settings[i] / (i < kCommon ? kSettingSd[i] : kLengthSd);
      sum -= 0.5 * z * z;
    }
    return sum;
  }

  void factorise() {
    const auto n = static_cast<Eigen::Index>(seen.size());
    factor = covariances(block, block);
    Vector residual = -means(block);
    for (Eigen::Index i = 0; i < n; ++i) {
      residual(i) += seen[static_cast<size_t>(i)].value;
      factor(i, i) = factor(i, i) * (1 + kJitter) + noise(seen[static_cast<size_t>(i)]);
    }
    Eigen::LLT<Eigen::Ref<Matrix>, Eigen::Lower> llt(factor);
    density = -std::numeric_limits<double>::infinity();
    if (llt.info() != Eigen::Success) return;
    forward = factor.triangularView<Eigen::Lower>().solve(residual);
    weights = factor.triangularView<Eigen::Lower>().transpose().solve(forward);
    density = log_prior() - 0.5 * forward.squaredNorm();
    for (Eigen::Index i = 0; i < n; ++i) density -= std::log(factor(i, i));
  }
};

Surrogate::Surrogate(const workload::SearchSpace& space, const std::optional<LandscapePrior>& prior)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.informed = prior.has_value();
  const size_t fields = space.fields().size();
  size_t numeric = 0;
  for (const workload::SearchField& field : space.fields()) numeric += field.is_numeric() ? 1 : 0;
  const workload::Values start = space.centre();
  for (size_t i = 0; i < fields; ++i) {
    const workload::SearchField& field = space.fields()[i];
    const double nan = std::numeric_limits<double>::quiet_NaN();
    s.choices.push_back(field.is_numeric() ? 0 : field.choices.size());
    for (size_t k = 0; k < (field.is_numeric() ? 2 : field.choices.size()); ++k) s.coordinate_field.push_back(i);
    double centre = field.is_numeric() ? field.unit(std::isnan(start[i]) ? field.start() : start[i]) : nan;
    double curvature = field.is_numeric() ? kEdgeExcess / 0.25 / std::sqrt(static_cast<double>(numeric)) : 0;
    double sd = kCentreSd;
    if (prior && field.is_numeric() && !std::isnan(prior->centre[i])) {
      centre = prior->centre[i];
      curvature = prior->curvature[i];
      sd = prior->centre_sd[i];
    }
    s.centre.push_back(centre);
    s.curvature.push_back(curvature);
    // A bowl c (x - m)^2 with m of this sd is c (x - centre)^2 with a slope of sd 2 c sd.
    s.slope_sd.push_back(2 * curvature * sd);
    // A field among many rarely has structure of its own beyond the bowl.
    s.length0.push_back(0.45 * std::sqrt(std::sqrt(static_cast<double>(fields))));
  }
  s.base_noise = std::pow((has_many_fields(space) ? kNoisePartManyFields : kNoisePartFewFields) * s.edge(), 2);
  s.settings.assign(kCommon + fields, 0.0);
}

Surrogate::~Surrogate() = default;

size_t Surrogate::size() const {
  return state_->seen.size();
}

void Surrogate::set_base(const std::vector<double>& units) {
  State& s = *state_;
  for (size_t i = 0; i < units.size(); ++i)
    if (!s.informed && s.choices[i] == 0 && !std::isnan(units[i])) s.centre[i] = units[i];
  s.base_noise = std::pow(kNoisePartFewFields * s.edge(), 2);
}

void Surrogate::fit(std::vector<Observation> observations, int tuning_steps) {
  State& s = *state_;
  s.seen = std::move(observations);
  s.block = s.empty_block(s.seen.size());
  for (size_t i = 0; i < s.seen.size(); ++i)
    s.place_point(s.seen[i].units, s.seen[i].log_scale, s.block, static_cast<Eigen::Index>(i));
  s.factorise();
  if (s.seen.size() < 3) return;
  for (int step = 0; step < tuning_steps; ++step) {
    const size_t setting = s.next_setting;
    s.next_setting = (s.next_setting + 1) % s.settings.size();
    if (s.next_setting == 0) s.direction = s.direction == 0.4 ? 0.15 : 0.4;
    const double before = s.density, old = s.settings[setting];
    for (const double move : {s.direction, -s.direction}) {
      s.settings[setting] = old + move;
      s.factorise();
      if (s.density > before) break;
      s.settings[setting] = old;
    }
    if (s.settings[setting] == old) s.density = before;
  }
  s.factorise();
}

void Surrogate::add(const Observation& observation) {
  State& s = *state_;
  const auto n = static_cast<Eigen::Index>(s.seen.size());
  const Block one = s.place_all({observation.units}, observation.log_scale);
  const double own = s.own_covariances(one, observation.log_scale)(0) + s.noise(observation);
  Vector row(n);
  if (n > 0) row = s.factor.triangularView<Eigen::Lower>().solve(Vector(s.covariances(s.block, one)));
  s.factor.conservativeResize(n + 1, n + 1);
  s.factor.row(n).head(n) = row.transpose();
  s.factor(n, n) = std::sqrt(std::max(own - row.squaredNorm(), kJitter * own));
  s.forward.conservativeResize(n + 1);
  const double residual = observation.value - s.means(one)(0);
  s.forward(n) = (residual - row.dot(s.forward.head(n))) / s.factor(n, n);
  s.block.place.conservativeResize(Eigen::NoChange, n + 1);
  s.block.bowl.conservativeResize(Eigen::NoChange, n + 1);
  s.block.scale.conservativeResize(n + 1);
  s.seen.push_back(observation);
  s.place_point(observation.units, observation.log_scale, s.block, n);
  s.weights = s.factor.triangularView<Eigen::Lower>().transpose().solve(s.forward);
}

std::vector<Surrogate::Prediction> Surrogate::predict_all(const std::vector<std::vector<double>>& units,
                                                          double log_scale) const {
  const State& s = *state_;
  const Block points = s.place_all(units, log_scale);
  Vector mean = s.means(points), variance = s.own_covariances(points, log_scale);
  if (!s.seen.empty()) {
    Matrix k = s.covariances(s.block, points);
    mean += k.transpose() * s.weights;
    s.factor.triangularView<Eigen::Lower>().solveInPlace(k);
    variance -= k.colwise().squaredNorm().transpose();
  }
  std::vector<Prediction> predictions(units.size());
  for (size_t i = 0; i < units.size(); ++i) {
    const auto at = static_cast<Eigen::Index>(i);
    predictions[i] = {mean(at), std::sqrt(std::max(variance(at), 0.0))};
  }
  return predictions;
}

Surrogate::Prediction Surrogate::predict(const std::vector<double>& units, double log_scale) const {
  return predict_all({units}, log_scale).front();
}

std::vector<double> Surrogate::shared_variance(const std::vector<std::vector<double>>& units, double scale_a,
                                               double scale_b) const {
  const State& s = *state_;
  const Block a = s.place_all(units, scale_a), b = s.place_all(units, scale_b);
  Vector shared = s.own_covariances(a, scale_b);
  if (!s.seen.empty()) {
    Matrix ka = s.covariances(s.block, a), kb = s.covariances(s.block, b);
    s.factor.triangularView<Eigen::Lower>().solveInPlace(ka);
    s.factor.triangularView<Eigen::Lower>().solveInPlace(kb);
    shared -= ka.cwiseProduct(kb).colwise().sum().transpose();
  }
  return {shared.data(), shared.data() + shared.size()};
}

std::vector<double> Surrogate::similar_mass(const std::vector<std::vector<double>>& units,
                                            const std::vector<std::vector<double>>& others) const {
  const State& s = *state_;
  std::vector<double> mass(units.size(), 0.0);
  if (others.empty()) return mass;
  const Matrix a = s.place_all(units, 0).place, b = s.place_all(others, 0).place;
  const double length2 = kSimilarLength * kSimilarLength * static_cast<double>(s.choices.size());
  Matrix r2 = -2 * a.transpose() * b;
  r2.colwise() += a.colwise().squaredNorm().transpose();
  r2.rowwise() += b.colwise().squaredNorm();
  for (Eigen::Index j = 0; j < r2.cols(); ++j)
    for (Eigen::Index i = 0; i < r2.rows(); ++i) mass[static_cast<size_t>(i)] += State::matern(r2(i, j) / length2);
  return mass;
}

}  // namespace flywheel::search
