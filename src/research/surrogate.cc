#include "research/surrogate.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace flywheel::research {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

// The bowl without a prior: excess of ln loss at the edge of one field's range, in spaces of a single field. More
// fields matter less each.
constexpr double kEdgeExcess = 0.025;
constexpr double kCentreSd = 0.25;    // of the best point, in units
constexpr double kWigglePart = 0.35;  // sd of what is no bowl, over the bowl's excess at the edges
constexpr double kScaleLength = 5.0;  // in ln FLOPs: a factor of 150
constexpr double kJitter = 1e-10;

// Settings in logs; priors are normal around zero shift.
enum Setting { kAmplitude, kWiggle, kNoise, kCommon };  // then one length per field
constexpr double kSettingSd[kCommon] = {1.0, 0.7, 1.0};
constexpr double kLengthSd = 0.6;

}  // namespace

struct Surrogate::State {
  std::vector<bool> categorical;
  std::vector<double> centre, slope_sd, curvature, length0;
  double base_noise = 1e-8;
  std::vector<double> settings;  // shifts in logs
  size_t next_setting = 0;
  double direction = 0.4;
  std::vector<Observation> seen;
  // Lower triangle of the covariance's factor and the weights of the observations.
  Matrix factor;
  Vector weights, forward;  // factor^-1 residual
  double density = -std::numeric_limits<double>::infinity();

  double amplitude() const { return std::exp(settings[kAmplitude]); }
  double length(size_t field) const { return length0[field] * std::exp(settings[kCommon + field]); }
  double edge() const {
    double total = 0;
    for (const double c : curvature) total += 0.25 * c;
    return std::max(total, kEdgeExcess);
  }

  double distance(const std::vector<double>& a, const std::vector<double>& b) const {
    double r2 = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      double d = 0;
      const bool none_a = std::isnan(a[i]), none_b = std::isnan(b[i]);
      if (none_a != none_b)
        d = 0.5;
      else if (!none_a)
        d = categorical[i] ? (a[i] != b[i] ? 0.5 : 0) : a[i] - b[i];
      const double scaled = d / length(i);
      r2 += scaled * scaled;
    }
    return std::sqrt(r2);
  }

  static double matern(double r) {
    const double x = std::sqrt(5.0) * r;
    return (1 + x + x * x / 3) * std::exp(-x);
  }

  double mean(const std::vector<double>& units) const {
    double sum = 0;
    for (size_t i = 0; i < units.size(); ++i)
      if (!std::isnan(centre[i]) && !std::isnan(units[i])) sum += curvature[i] * std::pow(units[i] - centre[i], 2);
    return amplitude() * sum;
  }

  double covariance(const std::vector<double>& a, double scale_a, const std::vector<double>& b, double scale_b) const {
    double linear = 0, quadratic = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(centre[i]) || std::isnan(a[i]) || std::isnan(b[i])) continue;
      const double da = a[i] - centre[i], db = b[i] - centre[i];
      linear += slope_sd[i] * slope_sd[i] * da * db;
      quadratic += curvature[i] * da * db;
    }
    const double amp = amplitude(), e = edge();
    const double wiggle = kWigglePart * e * std::exp(settings[kWiggle]);
    const double bowl = linear + 0.25 * quadratic * quadratic;
    const double process = wiggle * wiggle * matern(distance(a, b));
    const double constant = e * e;
    return amp * amp * (constant + (bowl + process) * std::exp(-std::abs(scale_a - scale_b) / kScaleLength));
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
    factor.resize(n, n);
    Vector residual(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const Observation& a = seen[static_cast<size_t>(i)];
      residual(i) = a.value - mean(a.units);
      for (Eigen::Index j = 0; j <= i; ++j) {
        const Observation& b = seen[static_cast<size_t>(j)];
        factor(i, j) = covariance(a.units, a.log_scale, b.units, b.log_scale);
      }
      factor(i, i) += noise(a) + kJitter * factor(i, i);
    }
    Eigen::LLT<Eigen::Ref<Matrix>, Eigen::Lower> llt(factor);
    density = -std::numeric_limits<double>::infinity();
    if (llt.info() != Eigen::Success) return;
    forward = factor.triangularView<Eigen::Lower>().solve(residual);
    weights = factor.triangularView<Eigen::Lower>().transpose().solve(forward);
    density = log_prior() - 0.5 * forward.squaredNorm();
    for (Eigen::Index i = 0; i < n; ++i) density -= std::log(factor(i, i));
  }

  Vector covariances(const std::vector<double>& units, double log_scale) const {
    Vector k(static_cast<Eigen::Index>(seen.size()));
    for (size_t i = 0; i < seen.size(); ++i)
      k(static_cast<Eigen::Index>(i)) = covariance(units, log_scale, seen[i].units, seen[i].log_scale);
    return k;
  }

  double posterior(const std::vector<double>& units, double scale_a, double scale_b) const {
    const double prior = covariance(units, scale_a, units, scale_b);
    if (seen.empty()) return prior;
    const Vector a = factor.triangularView<Eigen::Lower>().solve(covariances(units, scale_a));
    if (scale_a == scale_b) return prior - a.squaredNorm();
    return prior - a.dot(Vector(factor.triangularView<Eigen::Lower>().solve(covariances(units, scale_b))));
  }
};

Surrogate::Surrogate(const SearchSpace& space, const std::optional<LandscapePrior>& prior)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  const size_t fields = space.fields().size();
  size_t numeric = 0;
  for (const SearchField& field : space.fields()) numeric += field.is_numeric() ? 1 : 0;
  const Values start = space.centre();
  for (size_t i = 0; i < fields; ++i) {
    const SearchField& field = space.fields()[i];
    const double nan = std::numeric_limits<double>::quiet_NaN();
    s.categorical.push_back(!field.is_numeric());
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
  s.base_noise = std::pow(0.02 * s.edge(), 2);
  s.settings.assign(kCommon + fields, 0.0);
}

Surrogate::~Surrogate() = default;

size_t Surrogate::size() const {
  return state_->seen.size();
}

void Surrogate::fit(std::vector<Observation> observations, int tuning_steps) {
  State& s = *state_;
  s.seen = std::move(observations);
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
  const Vector k = s.covariances(observation.units, observation.log_scale);
  const Vector row = n > 0 ? Vector(s.factor.triangularView<Eigen::Lower>().solve(k)) : Vector(0);
  const double diagonal =
      s.covariance(observation.units, observation.log_scale, observation.units, observation.log_scale) +
      s.noise(observation);
  s.factor.conservativeResize(n + 1, n + 1);
  s.factor.row(n).head(n) = row.transpose();
  s.factor(n, n) = std::sqrt(std::max(diagonal - row.squaredNorm(), kJitter * diagonal));
  s.forward.conservativeResize(n + 1);
  const double residual = observation.value - s.mean(observation.units);
  s.forward(n) = (residual - (n > 0 ? row.dot(s.forward.head(n)) : 0.0)) / s.factor(n, n);
  s.seen.push_back(observation);
  s.weights = s.factor.triangularView<Eigen::Lower>().transpose().solve(s.forward);
}

Surrogate::Prediction Surrogate::predict(const std::vector<double>& units, double log_scale) const {
  const State& s = *state_;
  Prediction p{s.mean(units), 0};
  double variance = s.covariance(units, log_scale, units, log_scale);
  if (!s.seen.empty()) {
    const Vector k = s.covariances(units, log_scale);
    p.mean += k.dot(s.weights);
    variance -= s.factor.triangularView<Eigen::Lower>().solve(k).squaredNorm();
  }
  p.sd = std::sqrt(std::max(variance, 0.0));
  return p;
}

double Surrogate::informative_sd(const std::vector<double>& units, double from_scale, double to_scale,
                                 double variance) const {
  const double own = state_->posterior(units, from_scale, from_scale);
  const double shared = from_scale == to_scale ? own : state_->posterior(units, from_scale, to_scale);
  const double total = own + variance;
  return total > 0 ? std::abs(shared) / std::sqrt(total) : 0;
}

double Surrogate::similarity(const std::vector<double>& a, const std::vector<double>& b) const {
  return State::matern(state_->distance(a, b) * 1.5);
}

}  // namespace flywheel::research
