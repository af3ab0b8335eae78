#include "scaling/laws/projection.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flywheel::scaling {
namespace {

constexpr double kLowestExponent = 0.02, kHighestExponent = 2.0;
constexpr size_t kRunsUsed = 1000;

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<Vector3, 3>;

// Least squares of the columns in `kept`, by elimination of the normal equations; false when singular.
bool solve_kept(const Matrix3& gram, const Vector3& right, unsigned kept, Vector3& x) {
  size_t index[3], n = 0;
  for (size_t i = 0; i < 3; ++i)
    if ((kept >> i & 1u) != 0) index[n++] = i;
  double m[3][4];
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) m[i][j] = gram[index[i]][index[j]];
    m[i][3] = right[index[i]];
  }
  x = {0, 0, 0};
  for (size_t i = 0; i < n; ++i) {
    if (!(m[i][i] > 1e-13 * gram[index[i]][index[i]])) return false;
    for (size_t k = i + 1; k < n; ++k) {
      const double factor = m[k][i] / m[i][i];
      for (size_t j = i + 1; j < n; ++j) m[k][j] -= factor * m[i][j];
      m[k][3] -= factor * m[i][3];
    }
  }
  for (size_t i = n; i-- > 0;) {
    double value = m[i][3];
    for (size_t j = i + 1; j < n; ++j) value -= m[i][j] * x[index[j]];
    x[index[i]] = value / m[i][i];
  }
  return true;
}

// Non-negative: the best of the subsets whose solution is positive. Its squared error; infinity when there is none.
double solve_positive(const Matrix3& gram, const Vector3& right, double total, Vector3& amplitudes) {
  double best = INFINITY;
  for (unsigned kept = 7; kept >= 1; --kept) {
    Vector3 x;
    if (!solve_kept(gram, right, kept, x)) continue;
    double error = total;
    bool positive = true;
    for (size_t i = 0; i < 3; ++i) {
      positive = positive && ((kept >> i & 1u) == 0 || x[i] > 0);
      error -= x[i] * right[i];
    }
    if (positive && error < best) best = error, amplitudes = x;
    if (positive && kept == 7) break;  // no subset is better than all of them
  }
  return best;
}

double dot(const double* a, const double* b, size_t n) {
  double sums[4] = {0, 0, 0, 0};  // four, so that the compiler may vectorise
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (size_t k = 0; k < 4; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// sqrt(weight) / L * x^-exponent for each exponent of the grid, x relative to its smallest for conditioning.
struct Columns {
  std::vector<double> value;                            // (exponent, run)
  std::vector<double> squared, with_ones, with_target;  // products of each column with itself and with the others'
  double origin;
};
Columns power_columns(const std::vector<double>& ln_x, const std::vector<double>& scale,
                      const std::vector<double>& target, const std::vector<double>& exponents) {
  const size_t n = ln_x.size();
  Columns columns;
  columns.value.resize(exponents.size() * n);
  columns.origin = *std::min_element(ln_x.begin(), ln_x.end());
  for (size_t e = 0; e < exponents.size(); ++e) {
    double* column = &columns.value[e * n];
    for (size_t i = 0; i < n; ++i) column[i] = scale[i] * std::exp(-exponents[e] * (ln_x[i] - columns.origin));
    columns.squared.push_back(dot(column, column, n));
    columns.with_ones.push_back(dot(column, scale.data(), n));
    columns.with_target.push_back(dot(column, target.data(), n));
  }
  return columns;
}

}  // namespace

Sample thinned(const Sample& sample, size_t limit) {
  if (sample.size() <= limit) return sample;
  Sample few;
  for (size_t k = 0; k < limit; ++k) {
    const size_t i = k * sample.size() / limit;
    few.add(sample.run(i), sample.ln_l[i], sample.weight[i]);
  }
  return few;
}

std::vector<Projected> projected_starts(const Sample& all, Grid grid) {
  const Sample sample = thinned(all, kRunsUsed);
  const size_t n = sample.size();
  std::vector<double> exponents, scale(n), target(n);
  for (int e = 0; e < kGridExponents; ++e)
    exponents.push_back(kLowestExponent * std::pow(kHighestExponent / kLowestExponent, e / (kGridExponents - 1.0)));
  for (size_t i = 0; i < n; ++i) {
    target[i] = std::sqrt(sample.weight[i]);
    scale[i] = target[i] * std::exp(-sample.ln_l[i]);
  }
  const bool two = grid != Grid::kComputeOnly;
  const Columns first = power_columns(two ? sample.ln_n : sample.ln_c, scale, target, exponents);
  const Columns second = power_columns(sample.ln_d, scale, target, exponents);
  const double ones_ones = dot(scale.data(), scale.data(), n), ones_target = dot(scale.data(), target.data(), n);
  const double total = dot(target.data(), target.data(), n);
  const double floor = 1e-3 * ones_target / std::max(ones_ones, 1e-300);  // a thousandth of the mean loss
  std::vector<Projected> found;
  for (size_t a = 0; a < exponents.size(); ++a) {
    const double* x = &first.value[a * n];
    const double x1 = first.with_ones[a];
    const size_t from = grid == Grid::kPairs ? 0 : a, to = grid == Grid::kPairs ? exponents.size() : a + 1;
    for (size_t b = from; b < to; ++b) {
      const double* y = &second.value[b * n];
      Matrix3 gram = {{{first.squared[a], 0, x1}, {0, 0, 0}, {x1, 0, ones_ones}}};
      Vector3 right = {first.with_target[a], 0, ones_target}, amplitudes{};
      if (two) {
        gram[0][1] = gram[1][0] = dot(x, y, n);
        gram[1][1] = second.squared[b];
        gram[1][2] = gram[2][1] = second.with_ones[b];
        right[1] = second.with_target[b];
      }
      const double error = solve_positive(gram, right, total, amplitudes);
      if (!std::isfinite(error)) continue;
      const auto ln = [&](size_t i) { return std::log(std::max(amplitudes[i], floor)); };
      found.push_back({ln(0) + exponents[a] * first.origin, ln(1) + exponents[b] * second.origin, ln(2), exponents[a],
                       exponents[b], error});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Projected& a, const Projected& b) { return a.error < b.error; });
  return found;
}

}  // namespace flywheel::scaling
