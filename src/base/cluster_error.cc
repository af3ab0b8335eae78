// With weights w = x / sum(x) and normal effects of one variance, the squared error estimate is a sum of chi-squared
// variables, V = sum b_i u_i^2 with b_i = w_i^2 / (1 - w_i) and residuals u = (I - 1 w') e. For a standard normal Z,
// independent of it, Craig's formula gives
//   P(|Z| > c sqrt(V / E V)) = 2/pi integral over (0, pi/2) of E exp(-c^2 V / (2 E V sin^2 a)) da,
// and the expectation is det(I + 2 t B K)^(-1/2): B diagonal and K, the residuals' covariance, the identity plus a
// matrix of rank two, so that a determinant takes one pass over the clusters. Z is not quite independent of V where
// lengths differ, which makes intervals of normal effects up to 4 points too sure to hold the truth; effects of real
// documents are skewed and depend on length, which takes as much and more (docs/splits.md).
// Strata are independent: V is the sum of theirs, each times the square of its share, and the expectation the product.
#include "base/cluster_error.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/statistics.h"

namespace flywheel {
namespace {

constexpr double kMatched = 0.9;  // level at which the quantiles are equal
constexpr double kFewestDegrees = 0.5, kMostDegrees = 1e4;

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

double correction(double w) {
  return 1 / (1 - w);
}  // of a squared residual

// The clusters of one stratum.
class Weights {
 public:
  // `share`: of the stratum in all.
  Weights(std::span<const double> x, double share) {
    const double sum = sum_of(x);
    for (const double part : x) {
      const double w = part / sum;
      squares_ += w * w;
      if (w > 0) w_.push_back(w), b_.push_back(share * share * w * w * correction(w));
    }
    for (size_t i = 0; i < w_.size(); ++i) mean_ += b_[i] * (1 - 2 * w_[i] + squares_);
  }
  double mean() const { return mean_; }  // of V

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

 private:
  std::vector<double> w_, b_;
  double squares_ = 0, mean_ = 0;
};

// Probability that the error is more than `deviations` of the estimated ones.
double beyond(std::span<const Weights> strata, double deviations) {
  constexpr int kNodes = 32;
  double mean = 0, sum = 0;
  for (const Weights& stratum : strata) mean += stratum.mean();
  for (int node = 0; node < kNodes; ++node) {
    const double sine = std::sin((node + 0.5) / kNodes * std::numbers::pi / 2);
    double determinant = 1;
    for (const Weights& stratum : strata) determinant *= stratum.determinant(std::pow(deviations / sine, 2) / mean);
    sum += 1 / std::sqrt(determinant);
  }
  return sum / kNodes;
}

double degrees_of(std::span<const Weights> strata) {
  const auto is_beyond = [&](double degrees) {
    return beyond(strata, student_quantile(0.5 + kMatched / 2, degrees)) > 1 - kMatched;
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

double effective_number(std::span<const double> x) {
  double squares = 0;
  for (const double part : x) squares += part * part;
  return std::pow(sum_of(x), 2) / squares;
}

std::optional<ClusterError> ratio_error(std::span<const double> y, std::span<const double> x) {
  const Stratum all{{y.begin(), y.end()}, {x.begin(), x.end()}};
  return ratio_error({&all, 1});
}

std::optional<ClusterError> ratio_error(std::span<const Stratum> strata) {
  std::vector<Weights> weights;
  std::vector<double> all;
  for (const Stratum& stratum : strata) {
    CHECK(stratum.y.size() == stratum.x.size());
    if (stratum.y.size() < 2) return std::nullopt;
    all.insert(all.end(), stratum.x.begin(), stratum.x.end());
  }
  if (all.empty()) return std::nullopt;
  const double sum_x = sum_of(all);
  double variance = 0;
  for (const auto& [y, x] : strata) {
    const double of_stratum = sum_of(x), ratio = sum_of(y) / of_stratum;
    weights.emplace_back(x, of_stratum / sum_x);
    for (size_t i = 0; i < y.size(); ++i) {
      const double w = x[i] / of_stratum, residual = (y[i] - ratio * x[i]) / sum_x;
      if (w < 1) variance += correction(w) * residual * residual;
    }
  }
  const bool told = effective_number(all) >= kFewestClusters * (1 - 1e-12);
  return ClusterError{std::sqrt(variance), told ? degrees_of(weights) : 0};
}

}  // namespace flywheel
