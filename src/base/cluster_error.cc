// With weights w = x / sum(x) and normal effects of one variance, the squared error estimate is a sum of chi-squared
// variables, V = sum b_i u_i^2 with b_i = w_i^2 / (1 - w_i) and residuals u = (I - 1 w') e. For a standard normal Z,
// independent of it, Craig's formula gives
//   P(|Z| > c sqrt(V / E V)) = 2/pi integral over (0, pi/2) of E exp(-c^2 V / (2 E V sin^2 a)) da,
// and the expectation is det(I + 2 t B K)^(-1/2): B diagonal and K, the residuals' covariance, the identity plus a
// matrix of rank two, so that a determinant takes one pass over the clusters. Z is not quite independent of V where
// lengths differ, which makes intervals of normal effects up to 4 points too sure to hold the truth; effects of real
// documents are skewed and depend on length, which takes as much and more (docs/splits.md).
#include "base/cluster_error.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "base/statistics.h"

namespace flywheel {
namespace {

constexpr double kMatched = 0.9;  // level at which the quantiles are equal
constexpr double kFewestDegrees = 0.5, kMostDegrees = 1e4;

class Weights {
 public:
  explicit Weights(std::span<const double> x, double sum) {
    for (const double part : x) {
      const double w = part / sum;
      squares_ += w * w;
      if (w > 0) w_.push_back(w), b_.push_back(w * w * correction(w));
    }
    for (size_t i = 0; i < w_.size(); ++i) mean_ += b_[i] * (1 - 2 * w_[i] + squares_);
  }
  static double correction(double w) { return 1 / (1 - w); }  // of a squared residual
  double effective() const { return 1 / squares_; }

  // Probability that the error is more than `deviations` of the estimated ones.
  double beyond(double deviations) const {
    constexpr int kNodes = 32;
    double sum = 0;
    for (int node = 0; node < kNodes; ++node) {
      const double sine = std::sin((node + 0.5) / kNodes * std::numbers::pi / 2);
      sum += 1 / std::sqrt(determinant(std::pow(deviations / sine, 2) / mean_));
    }
    return sum / kNodes;
  }

 private:
  // det(I + t B K) with K = I - 1 w' - w 1' + |w|^2 1 1'.
  double determinant(double t) const {
    double product = 1, d0 = 0, d1 = 0, d2 = 0;
    for (size_t i = 0; i < w_.size(); ++i) {
      const double factor = 1 + t * b_[i], d = t * b_[i] / factor;
      product *= factor;
      d0 += d, d1 += d * w_[i], d2 += d * w_[i] * w_[i];
    }
    return product * ((1 + squares_ * d0 - d1) * (1 - d1) + (squares_ * d1 - d2) * d0);
  }

  std::vector<double> w_, b_;
  double squares_ = 0, mean_ = 0;
};

double degrees_of(const Weights& weights) {
  if (weights.effective() < kFewestClusters * (1 - 1e-12)) return 0;
  const auto is_beyond = [&](double degrees) {
    return weights.beyond(student_quantile(0.5 + kMatched / 2, degrees)) > 1 - kMatched;
  };
  if (!is_beyond(kMostDegrees)) return std::numeric_limits<double>::infinity();
  double low = kFewestDegrees, high = kMostDegrees;
  constexpr int kHalvings = 16;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = std::sqrt(low * high);
    (is_beyond(middle) ? high : low) = middle;
  }
  return std::sqrt(low * high);
}

}  // namespace

double ClusterError::half_width(double level) const {
  if (degrees <= 0) return std::numeric_limits<double>::infinity();
  const double p = 0.5 + level / 2;
  return sd * (std::isfinite(degrees) ? student_quantile(p, degrees) : normal_quantile(p));
}

std::optional<ClusterError> ratio_error(std::span<const double> y, std::span<const double> x) {
  CHECK(y.size() == x.size());
  if (y.size() < 2) return std::nullopt;
  double sum_y = 0, sum_x = 0;
  for (size_t i = 0; i < y.size(); ++i) sum_y += y[i], sum_x += x[i];
  const double ratio = sum_y / sum_x;
  double variance = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double w = x[i] / sum_x, residual = (y[i] - ratio * x[i]) / sum_x;
    if (w < 1) variance += Weights::correction(w) * residual * residual;
  }
  return ClusterError{std::sqrt(variance), degrees_of(Weights(x, sum_x))};
}

}  // namespace flywheel
