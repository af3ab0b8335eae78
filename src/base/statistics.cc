#include "base/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "base/check.h"

namespace flywheel {

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double centre = mean(values);
  double sum = 0;
  for (const double v : values) sum += (v - centre) * (v - centre);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double quantile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  if (at == static_cast<double>(below) || values[below] == values[above]) return values[below];  // one may be infinite
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

double upper_median(std::vector<double> values) {
  CHECK(!values.empty());
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double robust_sd(std::vector<double> residuals) {
  for (double& r : residuals) r = std::abs(r);
  return 1.4826 * median(std::move(residuals));
}

double normal_density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
}

double normal_below(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

double normal_quantile(double p) {
  return boost::math::quantile(boost::math::normal(), p);
}

double student_quantile(double p, double degrees) {
  return boost::math::quantile(boost::math::students_t(degrees), p);
}

double student_below(double t, double degrees) {
  return boost::math::cdf(boost::math::students_t(degrees), t);
}

double chi_squared_quantile(double p, double degrees) {
  return boost::math::quantile(boost::math::chi_squared(degrees), p);
}

ProbabilityInterval binomial_interval(int hits, int trials, double level) {
  using boost::math::binomial;
  CHECK(hits >= 0 && hits <= trials && level > 0 && level < 1);
  ProbabilityInterval share;
  const double missed = (1 - level) / 2;
  if (hits > 0) share.low = binomial::find_lower_bound_on_p(trials, hits, missed);
  if (hits < trials) share.high = binomial::find_upper_bound_on_p(trials, hits, missed);
  return share;
}

}  // namespace flywheel
